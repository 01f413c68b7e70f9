"""Re-timing of frames to a constant rate by their times, without repeating one.

Output time k of a window is k / fps after the window's first frame, and shows the frame that is
nearest among those after the last one shown. It counts if it is less than half a period early and
comes before the next output time, less the rounding of times; else it is missing.

The two bounds differ, since frames may have been sampled at the rate before. `timeline.sample`
takes the first frame at or after each grid time, which is late by up to a period of the source, but
not early: all of its frames count. If a frame could be a whole period early as well, those of a
burst, a few milliseconds apart, would be taken for frames at the rate.

A window that begins at a frame that was sampled late has a later grid, in which the other frames
are early: it may miss one of them, where a window that begins a few frames away does not.

Frames of a source that is slower than the rate, and gaps of a variable rate, are never filled up: a
run ends where the frames lag by a period, for there one is missing. 15 fps are 16 fps for 15
frames.
"""

import numpy as np
from numpy.typing import NDArray

from pvtt_flow.core.timeline import NS_PER_S, ROUNDING_NS

Positions = NDArray[np.int64]


def retime(pts_ns: Positions, fps: float | None) -> Positions:
    """Return the positions of the frames at a rate, from the first frame until one is missing.

    `pts_ns` ascends without equal times, int64 (T,); without a rate every frame is taken.
    """
    if fps is None or not len(pts_ns):
        return np.arange(len(pts_ns))
    return np.array(_run(pts_ns.tolist(), 0, NS_PER_S / fps))


def runs_at(pts_ns: Positions, fps: float | None) -> list[Positions]:
    """Return the positions of the frames at a rate, split where one is missing.

    A run is what `retime` gives from its first frame; the next one begins at the frame behind it.
    """
    if not len(pts_ns):
        return []
    if fps is None:
        return [np.arange(len(pts_ns))]
    times_ns = pts_ns.tolist()
    runs = [_run(times_ns, 0, NS_PER_S / fps)]
    while (first := runs[-1][-1] + 1) < len(times_ns):
        runs.append(_run(times_ns, first, NS_PER_S / fps))
    return [np.array(run) for run in runs]


def _run(pts_ns: list[int], first: int, period_ns: float) -> list[int]:
    """Return the positions from `first` until a frame is missing."""
    earliest_ns, latest_ns = _bounds_ns(period_ns)
    run, position = [first], first + 1
    while position < len(pts_ns):
        time_ns = pts_ns[first] + round(len(run) * period_ns)
        # The nearest one, of two the earlier.
        while (
            position + 1 < len(pts_ns)
            and pts_ns[position + 1] - time_ns < time_ns - pts_ns[position]
        ):
            position += 1
        if not earliest_ns < pts_ns[position] - time_ns < latest_ns:
            break
        run.append(position)
        position += 1
    return run


def windows_at(
    pts_ns: Positions, fps: float | None, num_frames: int, starts: Positions
) -> Positions:
    """Return the windows of `num_frames` real frames that begin at `starts`, int64 (S, num_frames).

    A row has the positions of its frames, as `retime` gives them from its start; starts from which
    a frame would be missing have none.
    """
    if fps is None:
        starts = starts[starts + num_frames <= len(pts_ns)]
        return starts[:, None] + np.arange(num_frames)
    period_ns = NS_PER_S / fps
    earliest_ns, latest_ns = _bounds_ns(period_ns)
    numbers = np.arange(num_frames)
    offsets_ns = np.rint(numbers * period_ns).astype(np.int64)
    starts = starts[pts_ns[starts] + offsets_ns[-1] + earliest_ns < pts_ns[-1]]
    times_ns = pts_ns[starts][:, None] + offsets_ns
    # Of those after the last one shown: shown[k] is the larger of nearest[k] and shown[k - 1] + 1.
    shown = np.maximum.accumulate(_nearest(pts_ns, times_ns) - numbers, axis=1) + numbers
    late_ns = pts_ns[np.minimum(shown, len(pts_ns) - 1)] - times_ns
    is_real = (shown < len(pts_ns)) & (earliest_ns < late_ns) & (late_ns < latest_ns)
    return np.asarray(shown[is_real.all(axis=1)])


def _bounds_ns(period_ns: float) -> tuple[float, float]:
    """Return how early (negative) and how late a frame can be, both exclusive."""
    return -period_ns / 2, period_ns - min(ROUNDING_NS, period_ns / 2)


def _nearest(pts_ns: Positions, times_ns: Positions) -> Positions:
    """Return the position of the frame nearest to each time; the earlier one of two."""
    after = np.clip(np.searchsorted(pts_ns, times_ns), 0, len(pts_ns) - 1)
    before = np.maximum(after - 1, 0)
    is_before = times_ns - pts_ns[before] <= np.abs(pts_ns[after] - times_ns)
    return np.asarray(np.where(is_before, before, after))
