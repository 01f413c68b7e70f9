"""Measures: region similarity J and contour accuracy F of masks, recall and precision of boxes."""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pvtt_flow.core.boxes import iou

_CONTOUR_TOLERANCE = 0.008


def region_similarity(masks: NDArray[np.bool_], truth: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return J of each frame, (T,), of bool (T, H, W): the IoU, or 1 where both are empty.

    `core.rle.iou` takes stored masks; arrays are compared here without encoding them.
    """
    intersection = np.logical_and(masks, truth).sum((1, 2))
    union = np.logical_or(masks, truth).sum((1, 2))
    return np.where(union > 0, intersection / np.maximum(union, 1), 1.0)


def contour_accuracy(masks: NDArray[np.bool_], truth: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return F of each frame, (T,), of bool (T, H, W); 1 where both are empty, 0 where one is.

    Contours match within 0.8 % of the picture's diagonal (Perazzi et al., A benchmark dataset and
    evaluation methodology for video object segmentation, CVPR 2016; the pixels of a contour and the
    disk are those of davisvideochallenge/davis2017-evaluation, `f_measure`).
    """
    radius = math.ceil(_CONTOUR_TOLERANCE * math.hypot(*masks.shape[1:]))
    squares = np.arange(-radius, radius + 1) ** 2
    disk = (squares[:, None] + squares <= radius**2).astype(np.uint8)
    return np.array([_contour_f(*pair, disk) for pair in zip(masks, truth, strict=True)])


def _contour_f(mask: NDArray[np.bool_], truth: NDArray[np.bool_], disk: NDArray[np.uint8]) -> float:
    contour, true_contour = _contour(mask), _contour(truth)
    if not contour.any() or not true_contour.any():
        return float(contour.any() == true_contour.any())
    near, near_true = (
        cv2.dilate(each.astype(np.uint8), disk).astype(np.bool_) for each in (contour, true_contour)
    )
    precision = float(near_true[contour].mean())
    recall = float(near[true_contour].mean())
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _contour(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which pixels differ from their right, lower or lower right neighbor."""
    padded = np.pad(mask, ((0, 1), (0, 1)), mode="edge")
    neighbors = padded[:-1, 1:], padded[1:, :-1], padded[1:, 1:]
    contour: NDArray[np.bool_] = np.any([mask ^ each for each in neighbors], axis=0)
    return contour


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
