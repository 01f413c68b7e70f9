"""Detections of many images matched to the true boxes: recall, precision and calibration."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pvtt_flow.core.boxes import iou


@dataclass(frozen=True)
class MatchedDetections:
    """Detections of many images compared with the true boxes, best score first."""

    scores: NDArray[np.float64]
    """float64 (D,), descending."""
    is_correct: NDArray[np.bool_]
    """bool (D,), whether the detection is the best one of a true box."""
    num_products: int

    def recall_precision(self, score: float) -> tuple[float, float]:
        """Return recall and precision of the detections with at least this score."""
        is_correct = self.is_correct[self.scores >= score]
        num_correct = int(is_correct.sum())
        recall = num_correct / max(1, self.num_products)
        return recall, num_correct / max(1, len(is_correct))

    def calibration_error(self) -> float:
        """Return the mean difference of score and precision, in tenths of the scores.

        Weighted by their detections (Guo et al., On calibration of modern neural networks, ICML
        2017: expected calibration error).
        """
        tenth = np.minimum((self.scores * 10).astype(int), 9)
        surplus = np.bincount(tenth, self.scores - self.is_correct)
        return float(np.abs(surplus).sum() / max(1, len(self.scores)))


def match_detections(
    detections: list[tuple[NDArray[np.floating], NDArray[np.floating]]],
    truths: list[NDArray[np.floating]], *, min_iou: float = 0.5,
) -> MatchedDetections:  # fmt: skip
    """Match the (boxes, scores) of each image to its true boxes, greedily by score."""
    scores, is_correct = [], []
    for (boxes, confidence), truth in zip(detections, truths, strict=True):
        free = np.ones(len(truth), bool)
        ious = iou(boxes, truth)
        for index in np.argsort(-confidence):
            options = np.where(free, ious[index], 0.0)
            best = int(options.argmax()) if len(options) else -1
            hit = best >= 0 and options[best] >= min_iou
            if hit:
                free[best] = False
            scores.append(float(confidence[index]))
            is_correct.append(hit)
    order = np.argsort(-np.array(scores), kind="stable")
    return MatchedDetections(
        np.array(scores, float)[order], np.array(is_correct, bool)[order], sum(map(len, truths))
    )
