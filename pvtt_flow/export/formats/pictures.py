"""Picture files."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray


def write_jpeg(path: Path, rgb: NDArray[np.uint8], quality: int) -> None:
    """Write uint8 (H, W, 3) RGB as a JPEG."""
    bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
    _write(path, cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality]))


def write_mask_png(path: Path, mask: NDArray[np.bool_]) -> None:
    """Write a bool (H, W) mask as a gray PNG, 255 on the object."""
    _write(path, cv2.imencode(".png", mask.astype(np.uint8) * 255))


def _write(path: Path, encoded: tuple[bool, NDArray[np.uint8]]) -> None:
    # `cv2.imwrite` would not say why it failed.
    is_encoded, data = encoded
    if not is_encoded:
        raise ValueError(f"OpenCV must encode {path.name}, but it does not")
    path.write_bytes(data.tobytes())
