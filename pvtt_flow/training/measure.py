"""The measures: region similarity J of masks, recall and precision of boxes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


def region_similarity(masks: NDArray[np.bool_], truth: NDArray[np.bool_]) -> NDArray[np.float64]:
    """J of each frame (T,) of bool (T, H, W): intersection over union, 1 where both are empty."""
    both = np.logical_and(masks, truth).sum((1, 2))
    either = np.logical_or(masks, truth).sum((1, 2))
    return np.where(either > 0, both / np.maximum(either, 1), 1.0)


def box_iou(first: NDArray[np.floating], second: NDArray[np.floating]) -> NDArray[np.float64]:
    """IoU (N, M) of boxes (N, 4) and (M, 4), xyxy."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    both = np.clip(high - low, 0, None).prod(-1)
    areas = [np.clip(b[:, 2:] - b[:, :2], 0, None).prod(-1) for b in (first, second)]
    return np.asarray(both / np.maximum(areas[0][:, None] + areas[1][None] - both, 1e-9))


@dataclass(frozen=True)
class Hits:
    """Detections of many images against their truth, best score first."""

    scores: NDArray[np.float64]
    """float64 (D,), descending."""
    right: NDArray[np.bool_]
    """bool (D,), whether each found a product that no better one had."""
    num_products: int

    def at(self, score: float) -> tuple[float, float]:
        """Recall and precision of the detections that reach the score."""
        kept = self.right[self.scores >= score]
        found = int(kept.sum())
        return found / max(1, self.num_products), found / max(1, len(kept))


def match(
    detections: list[tuple[NDArray[np.floating], NDArray[np.floating]]],
    truths: list[NDArray[np.floating]], *, min_iou: float = 0.5,
) -> Hits:  # fmt: skip
    """Matches each image's (boxes, scores) to its true boxes, greedily by score."""
    scores, right = [], []
    for (boxes, confidence), truth in zip(detections, truths, strict=True):
        free = np.ones(len(truth), bool)
        overlap = box_iou(boxes, truth)
        for index in np.argsort(-confidence):
            options = np.where(free, overlap[index], 0.0)
            best = int(options.argmax()) if len(options) else -1
            hit = best >= 0 and options[best] >= min_iou
            if hit:
                free[best] = False
            scores.append(float(confidence[index]))
            right.append(hit)
    order = np.argsort(-np.array(scores), kind="stable")
    return Hits(np.array(scores, float)[order], np.array(right, bool)[order], sum(map(len, truths)))
