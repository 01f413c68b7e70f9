"""Containers of a consumer: write a sequence of pictures or masks, and decode it as it does."""

import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import count
from pathlib import Path
from typing import TypeAlias

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
    open_video,
)

Picture: TypeAlias = NDArray[np.uint8]
AddPicture: TypeAlias = Callable[[Picture], object]


@contextmanager
def open_pictures(
    path: Path, rule: FileRule, shape: tuple[int, ...], fps: Fraction
) -> Iterator[AddPicture]:
    """Open a file or folder for pictures; yield the function that adds one.

    `shape` is that of all pictures with their number in front: uint8 (T, H, W, 3) RGB or (T, H, W)
    gray.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if rule.container == "png":
        path.mkdir()
        number = count()
        yield lambda picture: write_png(path / f"{next(number):05d}.png", picture)
    elif rule.container == "npz":
        with _open_array(path, shape) as add:
            yield add
    else:
        with open_video(path, fps, _encoding(rule, shape[1:])) as add:
            yield add


@contextmanager
def _open_array(path: Path, shape: tuple[int, ...]) -> Iterator[AddPicture]:
    """Open a compressed archive of NumPy; its array `arr_0` is never whole in memory."""
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("arr_0.npy", "w", force_zip64=True) as array,
    ):
        np.lib.format.write_array_header_1_0(array, header)
        yield lambda picture: array.write(picture.tobytes())


def _encoding(rule: FileRule, shape: tuple[int, ...]) -> Encoding:
    if rule.container == "ffv1":
        return FFV1 if len(shape) == 2 else FFV1_444
    if rule.container == "x264_lossless":
        return LOSSLESS_H264
    return CLIP_444 if shape[0] % 2 or shape[1] % 2 else CLIP


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
