"""Growth of masks: dilation, convex hull, box, and blocks of a grid."""

from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from pvtt_flow.core.profile import Shape

Mask: TypeAlias = NDArray[np.bool_]

_KERNELS = {
    "cross": cv2.MORPH_CROSS,
    "square": cv2.MORPH_RECT,
    "ellipse": cv2.MORPH_ELLIPSE,
    # Outlines that are grown afterwards keep their shape.
    "hull": cv2.MORPH_ELLIPSE,
    "box": cv2.MORPH_RECT,
}


def grow(mask: Mask, shape: Shape, radius_px: int = 0, blocks_px: int | None = None) -> Mask:
    """Return a bool (H, W) mask that holds the given one and grows by `radius_px` on each side.

    `hull` and `box` first take the convex hull or the box of the whole mask. A cross is one of
    `radius_px` arms, not a repeated cross of 3x3 pixels, whose result is a diamond. With
    `blocks_px`, each block of a grid of that size which the mask touches is filled.
    """
    if not mask.any():
        return mask.copy()
    # OpenCV needs rows, and COCO's masks are columns.
    pixels = np.array(mask, np.uint8, order="C")
    if shape == "hull":
        points = cv2.findNonZero(pixels)
        cv2.fillConvexPoly(pixels, cv2.convexHull(points), 1)
    elif shape == "box":
        left, top, width, height = cv2.boundingRect(pixels)
        pixels[top : top + height, left : left + width] = 1
    if radius_px:
        side = 2 * radius_px + 1
        kernel = cv2.getStructuringElement(_KERNELS[shape], (side, side))
        pixels = np.asarray(cv2.dilate(pixels, kernel), np.uint8)
    grown = pixels > 0
    return grown if blocks_px is None else _filled_blocks(grown, blocks_px)


def _filled_blocks(mask: Mask, side_px: int) -> Mask:
    height, width = mask.shape
    padded = np.pad(mask, ((0, -height % side_px), (0, -width % side_px)))
    rows, columns = (length // side_px for length in padded.shape)
    touched = padded.reshape(rows, side_px, columns, side_px).any(axis=(1, 3))
    return np.asarray(touched.repeat(side_px, 0).repeat(side_px, 1)[:height, :width])
