"""Pillow's bicubic resize on a GPU, with the same bytes.

Resizing a frame of 1080p to 1024 px takes a core (AMD EPYC) 32 ms, so few CPUs starve a GPU.
The algorithm is that of Pillow for 8 bits a channel (src/libImaging/Resample.c,
`precompute_coeffs`, `normalize_coeffs_8bpc` and `ImagingResampleHorizontal_8bpc`): weights in fixed
point, along one axis, rounded to bytes, then along the other. Which axis is first depends on the
sizes since Pillow 13, so it is found by a trial; where no order gives the bytes of the installed
Pillow, that resizes.
"""

import math
import warnings
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pvtt_flow.models.sam2.model_input import resize_to_square
from pvtt_flow.models.sam2.tensors import to_device

# Pillow's `PRECISION_BITS`: 8 bits for a value, and 2 since weights may be negative and above 1.
_FIXED_POINT_BITS = 32 - 8 - 2
_SUPPORT_PX = 2.0
# Sizes of videos for which weights and orders are kept.
_MAX_SIZES = 32
_ROWS, _COLUMNS = 1, 0
_Order: TypeAlias = tuple[int, int]


@dataclass(frozen=True, slots=True, eq=False)
class _Taps:
    """Input pixels and weights of each output pixel along one axis, K for each of S."""

    places: Tensor
    """int64 (K, S)."""
    weights: Tensor
    """int32 (K, S): fixed point; 0 where an output pixel has fewer."""


class DeviceResize:
    """`resize_to_square` on a device; several threads may call it."""

    def __init__(self, device: torch.device, stream: torch.cuda.Stream | None = None) -> None:
        """Resize on a stream, beside the model's work and not after it."""
        self._device = device
        self._stream = stream
        self._taps = lru_cache(_MAX_SIZES)(self._make_taps)
        self._order = lru_cache(_MAX_SIZES)(self._find_order)

    def __call__(self, rgb: NDArray[np.uint8], size_px: int) -> NDArray[np.uint8]:
        """Stretch uint8 (H, W, 3) to (S, S, 3)."""
        try:
            order = self._order(*rgb.shape[:2], size_px)
            if order is not None:
                return self._resize(rgb, size_px, order)
        except RuntimeError as error:
            # Full or broken, which is for the tracking step to find; the frame is good.
            warnings.warn(
                f"frames are resized on the CPU, which is slower, since {self._device} failed: "
                f"{str(error).partition(chr(10))[0]}",
                RuntimeWarning,
                stacklevel=2,
            )
        return resize_to_square(rgb, size_px)

    def on_device(self, rgb: NDArray[np.uint8], size_px: int) -> Tensor:
        """Stretch a frame as a call does, and leave it on the device.

        The caller is on the stream. Raises RuntimeError if the device fails.
        """
        order = self._order(*rgb.shape[:2], size_px)
        if order is None:
            return to_device(torch.from_numpy(resize_to_square(rgb, size_px).copy()), self._device)
        return self._resampled(to_device(torch.from_numpy(rgb), self._device), size_px, order)

    def _find_order(self, height: int, width: int, size_px: int) -> _Order | None:
        """Return the axes in Pillow's order for frames of this size; None if it has another way."""
        noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
        expected = resize_to_square(noise, size_px)
        for order in ((_ROWS, _COLUMNS), (_COLUMNS, _ROWS)):
            if np.array_equal(self._resize(noise, size_px, order), expected):
                return order
        return None

    def _resize(self, rgb: NDArray[np.uint8], size_px: int, order: _Order) -> NDArray[np.uint8]:
        with torch.cuda.stream(self._stream):
            uploaded = to_device(torch.from_numpy(rgb), self._device)
            return self._resampled(uploaded, size_px, order).cpu().numpy()

    def _resampled(self, rgb: Tensor, size_px: int, order: _Order) -> Tensor:
        for axis in order:
            if rgb.shape[axis] != size_px:
                rgb = _resample(rgb, axis, self._taps(rgb.shape[axis], size_px))
        return rgb

    def _make_taps(self, side_px: int, size_px: int) -> _Taps:
        places, weights = bicubic_taps(side_px, size_px)
        return _Taps(
            torch.from_numpy(places).to(self._device), torch.from_numpy(weights).to(self._device)
        )


def bicubic_taps(side_px: int, size_px: int) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Return the places and weights of the input pixels of each output pixel, (K, S) both."""
    scale = side_px / size_px
    widened = max(scale, 1.0)
    support = _SUPPORT_PX * widened
    num_taps = math.ceil(support) * 2 + 1
    places = np.zeros((num_taps, size_px), np.int64)
    weights = np.zeros((num_taps, size_px), np.int32)
    for out in range(size_px):
        center = (out + 0.5) * scale
        start = max(int(center - support + 0.5), 0)
        stop = min(int(center + support + 0.5), side_px)
        # Operations in Pillow's order, to the last bit.
        found = [_bicubic((place - center + 0.5) * (1 / widened)) for place in range(start, stop)]
        total = sum(found)
        places[: stop - start, out] = range(start, stop)
        weights[: stop - start, out] = [_fixed(weight / total) for weight in found]
    return places, weights


def _resample(rgb: Tensor, axis: int, taps: _Taps) -> Tensor:
    shape = [1, 1, 1]
    shape[axis] = -1
    # Half of a unit, so that the shift rounds.
    total = torch.full((), 1 << (_FIXED_POINT_BITS - 1), dtype=torch.int32, device=rgb.device)
    for places, weights in zip(taps.places, taps.weights, strict=True):
        total = total + rgb.index_select(axis, places).int() * weights.view(shape)
    return (total >> _FIXED_POINT_BITS).clamp(0, 255).to(torch.uint8)


def _bicubic(x: float) -> float:
    """Return the weight at a distance of x pixels; a = -0.5 (`bicubic_filter`)."""
    a, x = -0.5, abs(x)
    if x < 1.0:
        return ((a + 2.0) * x - (a + 3.0)) * x * x + 1
    if x < 2.0:
        return (((x - 5) * x + 8) * x - 4) * a
    return 0.0


def _fixed(weight: float) -> int:
    """Round half away from zero, as the cast of C does."""
    scaled = weight * (1 << _FIXED_POINT_BITS)
    return int(scaled - 0.5) if weight < 0 else int(scaled + 0.5)
