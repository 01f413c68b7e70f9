"""Re-timing of frames to a constant rate by their times, without repeating one.

Output time k of a window is k / fps after the window's first frame, and shows the frame that is
nearest. It counts only if that frame is less than half a period away and was not shown before, so
frames of a source that is slower than the rate, and gaps of a variable rate, are never filled up.
"""

import numpy as np
from numpy.typing import NDArray

from pvtt_flow.core.timeline import NS_PER_S

Positions = NDArray[np.int64]


def retime(pts_ns: Positions, fps: float | None) -> Positions:
    """Return the positions of the frames at a rate, from the first frame until one is missing.

    `pts_ns` ascends, int64 (T,); without a rate every frame is taken.
    """
    runs = runs_at(pts_ns, fps)
    return runs[0] if runs else np.zeros(0, np.int64)


def runs_at(pts_ns: Positions, fps: float | None) -> list[Positions]:
    """Return the positions of the frames at a rate, split where one is missing."""
    if not len(pts_ns):
        return []
    if fps is None:
        return [np.arange(len(pts_ns))]
    period_ns = NS_PER_S / fps
    # A gap of hours needs no grid of its own: the next run may start at any frame.
    starts = np.flatnonzero(np.diff(pts_ns) > 2 * period_ns) + 1
    return [
        part[0] + run
        for part in np.split(np.arange(len(pts_ns)), starts)
        for run in _runs(pts_ns[part], period_ns)
    ]


def _runs(pts_ns: Positions, period_ns: float) -> list[Positions]:
    """Return the runs of one grid, which starts at the first frame."""
    count = int((pts_ns[-1] - pts_ns[0] + period_ns / 2) // period_ns) + 1
    times_ns = pts_ns[0] + np.rint(np.arange(count) * period_ns).astype(np.int64)
    nearest = _nearest(pts_ns, times_ns)
    is_near = np.abs(pts_ns[nearest] - times_ns) < period_ns / 2
    is_new = np.diff(nearest, prepend=-1) > 0
    breaks = np.flatnonzero(~(is_near & is_new))
    parts = np.split(nearest, breaks)
    # The frame at a break is missing or was shown before.
    runs = [part if number == 0 else part[1:] for number, part in enumerate(parts)]
    return [run for run in runs if len(run)]


def windows_at(
    pts_ns: Positions, fps: float | None, num_frames: int, starts: Positions
) -> Positions:
    """Return the windows of `num_frames` real frames that begin at `starts`, int64 (S, num_frames).

    A row has the positions of its frames; starts from which a frame would be missing have none.
    """
    if fps is None:
        starts = starts[starts + num_frames <= len(pts_ns)]
        return starts[:, None] + np.arange(num_frames)
    period_ns = NS_PER_S / fps
    offsets_ns = np.rint(np.arange(num_frames) * period_ns).astype(np.int64)
    starts = starts[pts_ns[starts] + offsets_ns[-1] <= pts_ns[-1] + period_ns / 2]
    times_ns = pts_ns[starts][:, None] + offsets_ns
    nearest = _nearest(pts_ns, times_ns)
    is_near = np.abs(pts_ns[nearest] - times_ns) < period_ns / 2
    is_new = np.diff(nearest, axis=1) > 0
    return np.asarray(nearest[is_near.all(axis=1) & is_new.all(axis=1)])


def _nearest(pts_ns: Positions, times_ns: Positions) -> Positions:
    """Return the position of the frame nearest to each time; the earlier one of two."""
    after = np.clip(np.searchsorted(pts_ns, times_ns), 0, len(pts_ns) - 1)
    before = np.maximum(after - 1, 0)
    is_before = times_ns - pts_ns[before] <= np.abs(pts_ns[after] - times_ns)
    return np.asarray(np.where(is_before, before, after))
