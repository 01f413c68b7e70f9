"""Measure the sharpness of frames, to compare frames of one shot."""

import cv2
import numpy as np
from numpy.typing import NDArray

# Larger images are downscaled: at full size a Laplacian mostly measures grain and hides blur. At
# this size, blur by a hundredth of the image height is measurable.
_SHORT_SIDE_PX = 90


def sharpness(rgb: NDArray[np.uint8]) -> float:
    """Return the variance of the Laplacian of a uint8 (H, W, 3) RGB image, in squared gray levels.

    Focus measure of Pech-Pacheco et al. (2000). Blur lowers it, and so does a fade: it falls with
    the square of the contrast and is 0 for a blank image.
    """
    gray = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    scale = _SHORT_SIDE_PX / min(gray.shape)
    if scale < 1:
        gray = cv2.resize(gray, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return float(cv2.Laplacian(gray, cv2.CV_32F).var())
