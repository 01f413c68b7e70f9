"""Pixels of a source in the picture that a consumer reads: scaled, then cut or with black bars."""

from typing import Literal, NamedTuple, TypeAlias, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from pvtt_flow.core.placement import Placement

Resize: TypeAlias = Literal["nearest", "area", "bilinear", "bicubic"]

Pixel = TypeVar("Pixel", np.uint8, np.bool_)

_RESIZE: dict[Resize, int] = {
    # Pillow's rule, with which consumers read masks; OpenCV's other one shifts by half a pixel.
    "nearest": cv2.INTER_NEAREST_EXACT,
    "area": cv2.INTER_AREA,
    "bilinear": cv2.INTER_LINEAR,
    "bicubic": cv2.INTER_CUBIC,
}


class Inside(NamedTuple):
    """Rectangle of the scaled source in the output, in whole pixels; outside of it if cut off."""

    left_px: int
    top_px: int
    width_px: int
    height_px: int


def inside(placement: Placement, width_px: int, height_px: int) -> Inside:
    """Return where a source of this size is in the output; it is centered."""
    width = max(1, round(width_px * placement.scale_x))
    height = max(1, round(height_px * placement.scale_y))
    left, top = (placement.width_px - width) // 2, (placement.height_px - height) // 2
    return Inside(left, top, width, height)


def scaled_picture(rgb: NDArray[np.uint8], placement: Placement) -> NDArray[np.uint8]:
    """Return a uint8 (H, W, 3) picture at the output's scale: by area if smaller, else bicubic."""
    smaller = placement.scale_x < 1 or placement.scale_y < 1
    return _scaled(rgb, placement, "area" if smaller else "bicubic")


def placed_picture(rgb: NDArray[np.uint8], placement: Placement) -> NDArray[np.uint8]:
    """Return the uint8 (H, W, 3) output of a picture, with black bars beside it."""
    return _cut_or_padded(scaled_picture(rgb, placement), placement)


def scaled_mask(mask: NDArray[np.bool_], placement: Placement, resize: Resize) -> NDArray[np.bool_]:
    """Return a bool (H, W) mask at the output's scale, divided at half after the resize."""
    gray = np.array(mask, np.uint8, order="C") * np.uint8(255)
    return _scaled(gray, placement, resize) > 127


def placed_mask(mask: NDArray[np.bool_], placement: Placement, resize: Resize) -> NDArray[np.bool_]:
    """Return the bool (H, W) output of a mask.

    It is divided at half after the resize, so that its outline neither grows nor shrinks.
    """
    return _cut_or_padded(scaled_mask(mask, placement, resize), placement)


def _scaled(pixels: NDArray[np.uint8], placement: Placement, resize: Resize) -> NDArray[np.uint8]:
    height_px, width_px = pixels.shape[:2]
    size = inside(placement, width_px, height_px)[2:]
    if size == (width_px, height_px):
        return pixels
    return np.asarray(cv2.resize(pixels, size, interpolation=_RESIZE[resize]), np.uint8)


def _cut_or_padded(scaled: NDArray[Pixel], placement: Placement) -> NDArray[Pixel]:
    lengths = (placement.height_px, placement.width_px)
    starts = [(length - has) // 2 for length, has in zip(lengths, scaled.shape, strict=False)]
    rows, columns = (
        slice(max(0, -start), max(0, -start) + length)
        for start, length in zip(starts, lengths, strict=True)
    )
    cut = scaled[rows, columns]
    bars: list[tuple[int, int]] = [
        (max(0, start), length - max(0, start) - has)
        for start, length, has in zip(starts, lengths, cut.shape, strict=False)
    ]
    return np.ascontiguousarray(np.pad(cut, [*bars, (0, 0)][: cut.ndim]))
