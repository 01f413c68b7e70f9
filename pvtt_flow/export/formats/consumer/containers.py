"""Containers of a consumer: write a sequence of pictures or masks, and decode it as it does."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pvtt_flow.core.profile import FileRule
from pvtt_flow.export.formats.pictures import write_png
from pvtt_flow.video.encode import (
    CLIP,
    CLIP_444,
    FFV1,
    FFV1_444,
    LOSSLESS_H264,
    Encoding,
    write_video,
)

Picture = NDArray[np.uint8]


def write_pictures(path: Path, rule: FileRule, pictures: Iterator[Picture], fps: Fraction) -> None:
    """Write uint8 (H, W, 3) RGB or (H, W) gray pictures of one shape."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if rule.container == "png":
        path.mkdir()
        for number, picture in enumerate(pictures):
            write_png(path / f"{number:05d}.png", picture)
    elif rule.container == "npz":
        # Without a name, the key is `arr_0`.
        np.savez_compressed(path, np.stack(list(pictures)))
    else:
        first = next(pictures)
        write_video(path, chain([first], pictures), fps, _encoding(rule, first))


def _encoding(rule: FileRule, picture: Picture) -> Encoding:
    if rule.container == "ffv1":
        return FFV1 if picture.ndim == 2 else FFV1_444
    if rule.container == "x264_lossless":
        return LOSSLESS_H264
    is_odd = picture.shape[0] % 2 or picture.shape[1] % 2
    return CLIP_444 if is_odd else CLIP


@dataclass(frozen=True, slots=True)
class Decoded:
    """Pictures of a file as OpenCV or NumPy decodes them."""

    fps: float | None
    """Rate in the file; null if the container has none."""
    pictures: Iterator[Picture]
    """uint8 (H, W, 3) RGB, or (H, W) of an array."""


@contextmanager
def decoded(path: Path, rule: FileRule) -> Iterator[Decoded]:
    """Open a file or folder; without pictures if it cannot be decoded."""
    if rule.container == "png":
        yield Decoded(None, map(_read_png, sorted(path.glob("*.png"))))
    elif rule.container == "npz":
        with np.load(path) as arrays:
            yield Decoded(None, iter(arrays["arr_0"]))
    else:
        capture = cv2.VideoCapture(str(path))
        try:
            yield Decoded(capture.get(cv2.CAP_PROP_FPS), _read_all(capture))
        finally:
            capture.release()


def _read_png(path: Path) -> Picture:
    return _rgb(cv2.imread(str(path)))


def _read_all(capture: cv2.VideoCapture) -> Iterator[Picture]:
    while True:
        is_read, bgr = capture.read()
        if not is_read:
            return
        yield _rgb(bgr)


def _rgb(bgr: object) -> Picture:
    return np.asarray(bgr, np.uint8)[..., ::-1]
