"""Presentation times in nanoseconds, and sampling of frames by their times.

Ticks of a stream's time base become nanoseconds by exact fractions, so that they are equal on
every machine. Frames are sampled by their times and not by a nominal rate, so videos with a
variable frame rate are sampled correctly.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import pairwise
from statistics import median
from typing import Annotated, NamedTuple, Self, TypeVar

from pydantic import Field, model_validator

from pvtt_flow.params import Params

NS_PER_S = 1_000_000_000

ROUNDING_NS = 1_000_000
"""Largest error of the distance of two times in Matroska and WebM, which round to milliseconds."""

# A distance of more than so many medians is a pause. Those of sampled frames are n and n + 1 frames
# of the source, so the larger is at most twice the smaller, which may be the median.
_PAUSE = 2.5

T = TypeVar("T")


class FrameTime(NamedTuple):
    """Index and presentation time of a frame, by which it is found again in its video."""

    frame_index: int
    pts_ns: int


class SamplingParams(Params):
    """Frames of a shot that are processed; by default all of them. Set at most one of the two
    keys."""

    stride: Annotated[int, Field(ge=1)] = 1
    """Process every n-th frame, starting with the first frame of the shot."""
    target_fps: Annotated[float, Field(gt=0)] | None = None
    """Process this many frames per second of presentation time; null: use `stride`."""

    @model_validator(mode="after")
    def _one_rule(self) -> Self:
        if self.target_fps is not None and self.stride != 1:
            raise ValueError(
                f"stride must be 1 when target_fps is set, got stride {self.stride} and "
                f"target_fps {self.target_fps}; set one of the two"
            )
        return self


EVERY_FRAME = SamplingParams()


def to_ns(ticks: int, time_base: Fraction) -> int:
    """Return `ticks` of `time_base` seconds in whole nanoseconds; exact halves round up."""
    doubled = 2 * ticks * time_base.numerator * NS_PER_S + time_base.denominator
    return doubled // (2 * time_base.denominator)


def to_ticks(time_ns: int, time_base: Fraction) -> int:
    """Return the nearest tick of `time_base` seconds; exact halves round up.

    Inverts `to_ns` if a tick is at least a nanosecond.
    """
    doubled = 2 * time_ns * time_base.denominator + time_base.numerator * NS_PER_S
    return doubled // (2 * time_base.numerator * NS_PER_S)


def rate_of(pts_ns: Sequence[int]) -> Fraction | None:
    """Return the mean rate of frames in 1/s, without pauses; None if there are fewer than two.

    The mean, since sampled frames have two distances: frames that are taken at 16 fps of 24 are
    one and two apart, and the median is one or the other.
    """
    distances_ns = [after - before for before, after in pairwise(pts_ns)]
    if not distances_ns:
        return None
    longest_ns = _PAUSE * median(distances_ns)
    usual = [distance for distance in distances_ns if distance <= longest_ns]
    return Fraction(len(usual) * NS_PER_S, sum(usual)) if sum(usual) > 0 else None


def sample(
    frames: Iterable[T], sampling: SamplingParams, *, pts_ns: Callable[[T], int]
) -> Iterator[T]:
    """Yield the sampled frames, lazily and in order; `pts_ns` gives a frame's time.

    The first frame is always taken. With a target rate, a grid of times starts there, and the
    first frame at or after each grid time is taken. No frame is repeated, so a source that is
    slower than the target gives all of its frames.

    Clocks may round to milliseconds, so a frame that is up to 2 ms early counts as being at its
    grid time. Two grid times share a frame only if it is up to 1 ms early for the second one. With
    one bound for both, rounding might leave out a frame as just too early, and let the next one
    serve its grid time and the one before.

    Example: at 10 fps, the times (in ms) 0, 33, 67, 100, 133, 250 give 0, 100, 250.
    """
    if sampling.target_fps is None:
        for position, frame in enumerate(frames):
            if position % sampling.stride == 0:
                yield frame
        return
    step_ns = NS_PER_S / Fraction(sampling.target_fps)
    rounding_ns = min(Fraction(ROUNDING_NS), step_ns / 4)
    origin_ns: int | None = None
    next_step = 0
    for frame in frames:
        time_ns = pts_ns(frame)
        if origin_ns is None:
            origin_ns = time_ns
        elapsed_ns = time_ns - origin_ns
        if elapsed_ns + 2 * rounding_ns >= next_step * step_ns:
            yield frame
            next_step = max(next_step, (elapsed_ns + rounding_ns) // step_ns) + 1
