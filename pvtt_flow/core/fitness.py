"""Fitness: whether a masklet suits the consumer that a profile describes.

A second verdict beside that of `core.qc`, which judges the mask. It is computed from stored rows
alone, without pixels: `fit` if the consumer can take the frames from the first one on, `fixable`
with a remedy, or `unfit`. The limits are experience and no proof: see the profiles.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, TypeAlias

import numpy as np

from pvtt_flow.core.fitness_measures import PlacedFrames, broken, excess, place_frames
from pvtt_flow.core.fitness_rows import FitnessRows
from pvtt_flow.core.profile import Profile
from pvtt_flow.core.retiming import Positions, runs_at, windows_at
from pvtt_flow.core.timeline import NS_PER_S, rate_of

FitnessVerdict: TypeAlias = Literal["fit", "fixable", "unfit"]
# Motion that is more than twice as fast or slow is another motion.
_MAX_SPEED = 2.0
# Frames of windows that are measured at a time.
_CHUNK = 1 << 18


class Reason(NamedTuple):
    """Rule that the frames break."""

    rule: str
    """Name, by which reasons are counted."""
    text: str
    """Sentence with the number that is short."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitness:
    """Verdict on a masklet for one profile, and the frames to export."""

    profile: str
    verdict: FitnessVerdict
    reasons: tuple[Reason, ...] = ()
    """Rules that the frames from the first one on break; empty if `fit`."""
    measures: dict[str, float]
    """Measures of these frames, by the names of `FitnessLimits`."""
    num_frames: int
    """Longest run of real frames at the profile's rate."""
    fps: float | None
    """Rate at which the window is taken; null: the source's own. If it is not the profile's, it is
    a remedy: motion then looks slower (above the profile's) or faster (below)."""
    window: tuple[int, int] | None = None
    """Frames `[start, stop)` of the video to take; null if `unfit`."""
    window_frames: int | None = None
    """Number of frames that the window has at its rate."""
    static_box_xyxy: tuple[int, ...] | None = None
    """Remedy: union of the window's boxes in display pixels, to be used on every frame."""
    remedy: str = ""
    """Sentence that says what to do; empty unless `fixable`."""


@dataclass(frozen=True, slots=True)
class Window:
    """Frames of a masklet for a consumer."""

    positions: Positions
    """Positions of its frames in the masklet's rows, int64 (L,)."""
    excess: float
    """Largest measure as a multiple of its limit: at most 1 if all limits are kept."""


def judge_fitness(profile: Profile, rows: FitnessRows) -> Fitness:
    """Judge a masklet for a profile, from its stored rows."""
    frames = place_frames(profile, rows)
    runs = runs_at(rows.pts_ns, profile.fps)
    longest = max(map(len, runs), default=0)
    count = profile.frames.longest(len(runs[0])) if runs else None
    first = np.concatenate([np.zeros(0, np.int64), *runs]) if count is None else runs[0][:count]
    measures = frames.measure(first[None])
    reasons = tuple(Reason(*rule) for rule in broken(frames.limits, measures))
    if count is None:
        reasons = (_missing_frames(profile, longest), *reasons)
    judged = Fitness(
        profile=profile.name,
        verdict="unfit",
        reasons=reasons,
        measures={name: float(values[0]) for name, values in measures.items()},
        num_frames=longest,
        fps=profile.fps,
    )
    if not reasons:
        return _taking(replace(judged, verdict="fit"), rows, first)
    return next(_remedies(profile, rows, frames, judged), judged)


def best_window(
    frames: PlacedFrames, num_frames: int, *, fps: float | None, static_box: bool = False
) -> Window | None:
    """Return the window of `num_frames` frames that stays farthest within the limits.

    The earliest of equally good ones; None if there is no window without a missing frame.
    """
    best: Window | None = None
    total, step = len(frames.pts_ns), max(1, _CHUNK // num_frames)
    for start in range(0, total, step):
        starts = np.arange(start, min(start + step, total))
        windows = windows_at(frames.pts_ns, fps, num_frames, starts)
        if len(windows):
            values = excess(frames.limits, frames.measure(windows, static_box=static_box))
            number = int(np.argmin(values))
            if best is None or values[number] < best.excess:
                best = Window(windows[number], float(values[number]))
    return best


def _missing_frames(profile: Profile, longest: int) -> Reason:
    rate = "" if profile.fps is None else f" at {profile.fps:g} fps"
    needed = f"needs {profile.frames.least} frames{rate}"
    if longest < profile.frames.least:
        return Reason("too_few_frames", f"{needed}, has {longest}")
    return Reason("gap", f"{needed} from the first frame on, has a gap before")


def _remedies(
    profile: Profile, rows: FitnessRows, frames: PlacedFrames, judged: Fitness
) -> Iterator[Fitness]:
    """Yield the verdict with each remedy that makes the masklet fit, the smallest one first."""
    # A union of boxes mends nothing but the motion of their center.
    static_boxes = (False,) if profile.fitness.center_y_spread is None else (False, True)
    for fps in _rates(profile, rows, judged.num_frames):
        for static_box in static_boxes:
            for num_frames in _lengths(profile, rows.pts_ns, fps):
                window = best_window(frames, num_frames, fps=fps, static_box=static_box)
                if window is not None and window.excess <= 1:
                    box = rows.union_box(window.positions) if static_box else None
                    fixed = replace(judged, verdict="fixable", fps=fps, static_box_xyxy=box)
                    taking = _taking(fixed, rows, window.positions)
                    yield replace(taking, remedy=_sentence(profile, taking))


def _rates(profile: Profile, rows: FitnessRows, longest: int) -> Iterator[float | None]:
    """Yield the profile's rate; if it gives too few frames, the nearest that may give enough."""
    least = profile.frames.least
    if longest >= least:
        yield profile.fps
    elif profile.fps is not None and len(rows.pts_ns) >= least > 1:
        own_fps = float(rate_of(rows.pts_ns.tolist()) or profile.fps)
        needed_fps = (least - 1) * NS_PER_S / max(1.0, float(rows.pts_ns[-1] - rows.pts_ns[0]))
        # A source that is slower than the profile gives no more than its own rate.
        fps = min(own_fps, max(profile.fps, needed_fps))
        if 1 / _MAX_SPEED <= fps / profile.fps <= _MAX_SPEED:
            yield fps


def _lengths(profile: Profile, pts_ns: Positions, fps: float | None) -> Iterator[int]:
    """Yield numbers of frames to try: the largest one, half of it and so on, down to the least."""
    longest = max(map(len, runs_at(pts_ns, fps)), default=0)
    count = profile.frames.longest(longest)
    while count is not None and count > profile.frames.least:
        yield count
        count = profile.frames.longest(count // 2)
    yield profile.frames.least


def _taking(judged: Fitness, rows: FitnessRows, positions: Positions) -> Fitness:
    first, last = (int(rows.frame_index[positions[end]]) for end in (0, -1))
    return replace(judged, window=(first, last + 1), window_frames=len(positions))


def _sentence(profile: Profile, fixed: Fitness) -> str:
    start, stop = fixed.window or (0, 0)
    steps = [f"take frames {start} to {stop - 1}"]
    if fixed.fps is not None and fixed.fps != profile.fps:
        steps.append(f"at {fixed.fps:.4g} fps instead of {profile.fps:g}")
    if fixed.static_box_xyxy is not None:
        steps.append(f"with the box {list(fixed.static_box_xyxy)} on all of them")
    return " ".join(steps)
