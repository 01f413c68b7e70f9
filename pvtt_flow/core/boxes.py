"""Geometry of `box_xyxy` arrays: float (N, 4) in display pixels, exclusive max."""

import numpy as np
from numpy.typing import NDArray

Boxes = NDArray[np.floating]


def areas(boxes_xyxy: Boxes) -> NDArray[np.float64]:
    """Return the areas in square pixels, float64 (N,); an inverted box has area 0."""
    sizes = np.clip(boxes_xyxy[:, 2:] - boxes_xyxy[:, :2], 0, None).astype(np.float64)
    return np.asarray(sizes[:, 0] * sizes[:, 1])


def clip(boxes_xyxy: Boxes, width_px: int, height_px: int) -> Boxes:
    """Clip boxes to the picture, (N, 4) of the same dtype."""
    edges = np.array([width_px, height_px] * 2, boxes_xyxy.dtype)
    return np.minimum(np.maximum(boxes_xyxy, 0), edges)


def iou(a_xyxy: Boxes, b_xyxy: Boxes) -> NDArray[np.float64]:
    """Return intersection over union of each pair, float64 (N, M); 0 where both are empty."""
    low = np.maximum(a_xyxy[:, None, :2], b_xyxy[None, :, :2])
    high = np.minimum(a_xyxy[:, None, 2:], b_xyxy[None, :, 2:])
    sides = np.clip(high - low, 0, None).astype(np.float64)
    intersection = sides[..., 0] * sides[..., 1]
    union = areas(a_xyxy)[:, None] + areas(b_xyxy)[None, :] - intersection
    return np.asarray(np.divide(intersection, union, out=np.zeros_like(union), where=union > 0))


def centrality(boxes_xyxy: Boxes, width_px: int, height_px: int) -> NDArray[np.float64]:
    """Return 1 for a box at the picture's center and 0 at its corners, float64 (N,)."""
    size = np.array([width_px, height_px], np.float64)
    centers = (boxes_xyxy[:, :2] + boxes_xyxy[:, 2:]) / 2
    return np.asarray(1 - np.linalg.norm((centers - size / 2) / (size / 2), axis=1) / np.sqrt(2))


def generalized_iou(a_xyxy: Boxes, b_xyxy: Boxes) -> NDArray[np.float64]:
    """Return the generalized IoU of each pair, float64 (N, M): 1 for equal boxes, towards -1 for
    boxes that are far apart.

    Rezatofighi et al., "Generalized intersection over union", 2019.
    """
    low = np.minimum(a_xyxy[:, None, :2], b_xyxy[None, :, :2])
    high = np.maximum(a_xyxy[:, None, 2:], b_xyxy[None, :, 2:])
    hull = np.prod(np.clip(high - low, 0, None).astype(np.float64), axis=-1)
    shared = iou(a_xyxy, b_xyxy)
    # Of IoU = I / (A + B - I) follows the union.
    union = (areas(a_xyxy)[:, None] + areas(b_xyxy)[None, :]) / (1 + shared)
    beside = np.divide(hull - union, hull, out=np.zeros_like(hull), where=hull > 0)
    return np.asarray(shared - beside)
