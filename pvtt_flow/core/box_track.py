"""Boxes of an object over time: loosened, smoothed, as fractions of the picture."""

import numpy as np
from numpy.typing import NDArray

from pvtt_flow.core import boxes

Track = NDArray[np.float64]
"""Boxes of T frames, float64 (T, 4), display pixels; NaN where the object is absent."""


def track_of(box_xyxy: list[tuple[int, ...] | None]) -> Track:
    """Return boxes as a track."""
    rows = [(np.nan,) * 4 if box is None else box for box in box_xyxy]
    return np.array(rows, np.float64).reshape(-1, 4)


def loosened(track: Track, fraction: float, width_px: int, height_px: int) -> Track:
    """Return boxes whose sides move out by a fraction of the box's size, clipped to the picture."""
    sizes = np.tile(track[:, 2:] - track[:, :2], 2)
    moved = track + sizes * fraction * np.array([-1, -1, 1, 1])
    return np.asarray(boxes.clip(moved, width_px, height_px), np.float64)


def smoothed(track: Track, sigma_frames: float) -> Track:
    """Return boxes averaged over neighboring frames with a Gaussian of `sigma_frames`.

    Frames without the object have no weight, and stay without a box. Centers and sizes are averaged
    alike, since the average of corners is that of both.
    """
    there = ~np.isnan(track[:, 0])
    reach = int(np.ceil(3 * sigma_frames))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma_frames) ** 2)
    weights = _convolved(there.astype(np.float64), kernel)
    sums = [_convolved(np.where(there, column, 0.0), kernel) for column in track.T]
    averages = np.stack(sums, axis=1) / np.where(there, weights, np.nan)[:, None]
    return np.asarray(averages, np.float64)


def normalized(track: Track, width_px: int, height_px: int) -> Track:
    """Return boxes as fractions of the picture."""
    return np.asarray(track / np.array([width_px, height_px] * 2))


def _convolved(values: NDArray[np.float64], kernel: NDArray[np.float64]) -> NDArray[np.float64]:
    reach = len(kernel) // 2
    return np.convolve(np.pad(values, reach), kernel, mode="valid")
