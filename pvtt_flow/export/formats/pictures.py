"""Picture files."""

import os
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pvtt_flow.export.sequence import Sequence


def write_jpeg(path: Path, rgb: NDArray[np.uint8], quality: int) -> None:
    """Write uint8 (H, W, 3) RGB as a JPEG."""
    bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
    _write(path, cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality]))


def write_png(path: Path, picture: NDArray[np.uint8]) -> None:
    """Write uint8 (H, W) gray, (H, W, 3) RGB or (H, W, 4) RGBA as a PNG."""
    if picture.ndim == 3:
        code = cv2.COLOR_RGB2BGR if picture.shape[2] == 3 else cv2.COLOR_RGBA2BGRA
        picture = np.asarray(cv2.cvtColor(picture, code), np.uint8)
    _write(path, cv2.imencode(".png", picture))


def write_jpegs(folder: Path, sequence: Sequence, quality: int) -> None:
    """Write the pictures of a sequence as `00000.jpg` and so on into a new folder."""
    folder.mkdir(parents=True)
    for position, frame in enumerate(sequence.frames()):
        write_jpeg(folder / f"{position:05d}.jpg", frame.rgb, quality)


def write_file(path: Path, data: bytes) -> None:
    """Write a small file; Python's file objects take as long again for it."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    try:
        left = memoryview(data)
        while left:
            left = left[os.write(file, left) :]
    finally:
        os.close(file)


def _write(path: Path, encoded: tuple[bool, NDArray[np.uint8]]) -> None:
    # `cv2.imwrite` would not say why it failed.
    is_encoded, data = encoded
    if not is_encoded:
        raise ValueError(f"OpenCV must encode {path.name}, but it does not")
    write_file(path, data.tobytes())
