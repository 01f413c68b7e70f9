"""Pixel of a mask that is surest to be on the object."""

import cv2
import numpy as np
from numpy.typing import NDArray


def most_inner_pixel(mask: NDArray[np.bool_]) -> tuple[int, int]:
    """Return x and y of the pixel that is farthest from the outline of a mask (H, W)."""
    padded = np.pad(mask, 1).astype(np.uint8)
    distance = cv2.distanceTransform(padded, cv2.DIST_L2, 3)[1:-1, 1:-1]
    y, x = np.unravel_index(int(distance.argmax()), mask.shape)
    return int(x), int(y)
