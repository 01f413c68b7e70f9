"""Measures of a mask against the true one: J, F and boundary IoU, each in [0, 1]."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]

# Shares of the picture's diagonal.
_CONTOUR_TOLERANCE, _BOUNDARY_WIDTH = 0.008, 0.02
_SQUARE = np.ones((3, 3), np.uint8)


def region_similarity(masks: Mask, truth: Mask) -> NDArray[np.float64]:
    """Return J of each frame, (T,), of bool (T, H, W): the IoU, or 1 where both are empty.

    `core.rle.iou` takes stored masks; arrays are compared here without encoding them.
    """
    intersection = np.logical_and(masks, truth).sum((1, 2))
    union = np.logical_or(masks, truth).sum((1, 2))
    return np.where(union > 0, intersection / np.maximum(union, 1), 1.0)


def contour_accuracy(masks: Mask, truth: Mask) -> NDArray[np.float64]:
    """Return F of each frame, (T,), of bool (T, H, W); 1 where both are empty, 0 where one is.

    Contours match within 0.8 % of the picture's diagonal (Perazzi et al., A benchmark dataset and
    evaluation methodology for video object segmentation, CVPR 2016; the pixels of a contour and the
    disk are those of davisvideochallenge/davis2017-evaluation, `f_measure`).
    """
    radius = math.ceil(_CONTOUR_TOLERANCE * math.hypot(*masks.shape[1:]))
    squares = np.arange(-radius, radius + 1) ** 2
    disk = (squares[:, None] + squares <= radius**2).astype(np.uint8)
    return np.array([_contour_f(*pair, disk) for pair in zip(masks, truth, strict=True)])


def _contour_f(mask: Mask, truth: Mask, disk: NDArray[np.uint8]) -> float:
    contour, true_contour = _contour(mask), _contour(truth)
    if not contour.any() or not true_contour.any():
        return float(contour.any() == true_contour.any())
    near, near_true = (
        cv2.dilate(each.astype(np.uint8), disk).astype(np.bool_) for each in (contour, true_contour)
    )
    precision = float(near_true[contour].mean())
    recall = float(near[true_contour].mean())
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _contour(mask: Mask) -> Mask:
    """Return which pixels differ from their right, lower or lower right neighbor."""
    padded = np.pad(mask, ((0, 1), (0, 1)), mode="edge")
    neighbors = padded[:-1, 1:], padded[1:, :-1], padded[1:, 1:]
    contour: Mask = np.any([mask ^ each for each in neighbors], axis=0)
    return contour


def boundary_iou(masks: Mask, truth: Mask) -> NDArray[np.float64]:
    """Return the boundary IoU of each frame, (T,), of bool (T, H, W); 1 where both are empty.

    The IoU of the pixels of each mask that are within 2 % of the diagonal of its contour, so that
    large masks cannot hide a bad contour (Cheng et al., Boundary IoU, CVPR 2021; the bands are
    those of bowenc0221/boundary-iou-api, `mask_to_boundary`: the picture's border is a contour).
    """
    return region_similarity(_bands(masks), _bands(truth))


def _bands(masks: Mask) -> Mask:
    width = max(1, round(_BOUNDARY_WIDTH * math.hypot(*masks.shape[1:])))
    return np.stack([_band(mask, width) for mask in masks])


def _band(mask: Mask, width: int) -> Mask:
    padded = np.pad(mask, 1).astype(np.uint8)
    inner = cv2.erode(padded, _SQUARE, iterations=width)[1:-1, 1:-1]
    band: Mask = mask & (inner == 0)
    return band
