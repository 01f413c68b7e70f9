"""Measures: region similarity J of masks, recall and precision of boxes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pvtt_flow.core.boxes import iou


def region_similarity(masks: NDArray[np.bool_], truth: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return J of each frame, (T,), of bool (T, H, W): the IoU, or 1 where both are empty.

    `core.rle.iou` takes stored masks; arrays are compared here without encoding them.
    """
    intersection = np.logical_and(masks, truth).sum((1, 2))
    union = np.logical_or(masks, truth).sum((1, 2))
    return np.where(union > 0, intersection / np.maximum(union, 1), 1.0)


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
