"""First frame of an FFGO sample: the product on the left, its scene without it on the right.

Source: `dataset_construction_plan.md` section 3 of the FFGO dataset's authors.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]

# Radius of the circle of known pixels that a filled pixel is made from, as in OpenCV's examples.
_FILL_RADIUS_PX = 3
_WHITE = 255


def filled(rgb: Picture, hole: NDArray[np.bool_]) -> Picture:
    """Return a uint8 (H, W, 3) picture with the hole, bool (H, W), filled from its surroundings.

    Fast marching (Telea, "An image inpainting technique based on the fast marching method", 2004):
    it continues colors and edges, and has no idea of what was there. A hole that is the whole
    picture becomes white.
    """
    if hole.all():
        return np.full_like(rgb, _WHITE)
    mask = np.ascontiguousarray(hole, np.uint8)
    return np.asarray(
        cv2.inpaint(np.ascontiguousarray(rgb), mask, _FILL_RADIUS_PX, cv2.INPAINT_TELEA), np.uint8
    )


def product_beside(product_rgba: Picture, scene: Picture, size: tuple[int, int]) -> Picture:
    """Return a white uint8 (H, W, 3) picture with the product on its left third and the scene.

    The product, uint8 (H, W, 4), and the scene, (H, W, 3), are as large as they can be and in the
    middle of their parts. `size` is width and height in pixels.
    """
    width_px, height_px = size
    third_px = width_px // 3
    canvas = np.full((height_px, width_px, 3), _WHITE, np.uint8)
    color, alpha = product_rgba[..., :3], product_rgba[..., 3:]
    # On white before it is scaled: colors around the product would come in otherwise.
    _put(canvas[:, :third_px], np.where(alpha > 0, color, np.uint8(_WHITE)))
    _put(canvas[:, third_px:], scene)
    return canvas


def _put(part: Picture, picture: Picture) -> None:
    """Draw a picture into the middle of a part of the canvas, as large as it can be."""
    scale = min(part.shape[0] / picture.shape[0], part.shape[1] / picture.shape[1])
    height, width = (
        min(room, max(1, round(length * scale)))
        for length, room in zip(picture.shape[:2], part.shape[:2], strict=True)
    )
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    scaled = cv2.resize(np.ascontiguousarray(picture), (width, height), interpolation=interpolation)
    top, left = (part.shape[0] - height) // 2, (part.shape[1] - width) // 2
    part[top : top + height, left : left + width] = scaled
