"""How sharp a picture is, to be compared with others of one shot."""

import cv2
import numpy as np
from numpy.typing import NDArray

# Larger pictures are made so small: at full size grain is most of what a Laplacian sees, and no
# blur could be told; here blur by a hundredth of the picture's height can.
_SHORT_SIDE_PX = 90


def sharpness(rgb: NDArray[np.uint8]) -> float:
    """Variance of the Laplacian of a uint8 (H, W, 3) picture, in squared grey levels.

    The focus measure of Pech-Pacheco et al. (2000). Blur lowers it, and so does a fade: it falls
    with the square of the contrast and is 0 for a blank picture.
    """
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    scale = _SHORT_SIDE_PX / min(grey.shape)
    if scale < 1:
        grey = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return float(cv2.Laplacian(grey, cv2.CV_32F).var())
