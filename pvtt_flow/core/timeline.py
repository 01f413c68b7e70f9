"""Time: from a stream's ticks to nanoseconds, and which frames to take on that axis.

Times are int nanoseconds of presentation time; ticks become nanoseconds by exact fractions, so
that equal ticks are equal nanoseconds on every machine. Frames are chosen by their times, not by
a nominal rate, so variable frame rates come out right.
"""

from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from typing import Annotated, NamedTuple, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

NS_PER_S = 1_000_000_000

# Matroska and WebM round every time to a millisecond: a frame that is early by no more than
# that is the one that the grid means.
_ROUNDING_NS = 1_000_000

T = TypeVar("T")


class FrameTime(NamedTuple):
    """Which frame, and when: where it was found once and can be found again."""

    frame_index: int
    pts_ns: int


class SamplingParams(BaseModel):
    """Which frames of a shot to process; every one unless told otherwise."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    stride: Annotated[int, Field(ge=1)] = 1
    """Take every n-th frame, the shot's first one included."""
    target_fps: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """Take this many frames a second of presentation time; null takes them by stride."""

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
    """The nearest whole nanosecond to `ticks` of `time_base` seconds; exact halves go up."""
    doubled = 2 * ticks * time_base.numerator * NS_PER_S + time_base.denominator
    return doubled // (2 * time_base.denominator)


def to_ticks(time_ns: int, time_base: Fraction) -> int:
    """The nearest tick of `time_base` seconds; undoes `to_ns` where a tick is a nanosecond or more.

    Exact halves go up.
    """
    doubled = 2 * time_ns * time_base.denominator + time_base.numerator * NS_PER_S
    return doubled // (2 * time_base.numerator * NS_PER_S)


def sample(
    frames: Iterable[T], sampling: SamplingParams, *, pts_ns: Callable[[T], int]
) -> Iterator[T]:
    """The chosen ones among `frames`, lazily and in order; `pts_ns` tells the time of one.

    The first frame is always taken. With a target rate a grid of times starts there, and the
    first frame at or after each grid time is taken, once: a source slower than the target
    gives all of its frames and never a repeated one.

    Example: at 10 fps the times (in ms) 0, 33, 67, 100, 133, 250 give 0, 100, 250.
    """
    if sampling.target_fps is None:
        for position, frame in enumerate(frames):
            if position % sampling.stride == 0:
                yield frame
        return
    step_ns = NS_PER_S / Fraction(sampling.target_fps)
    tolerance_ns = min(Fraction(_ROUNDING_NS), step_ns / 2)
    origin_ns: int | None = None
    next_step = 0
    for frame in frames:
        time_ns = pts_ns(frame)
        if origin_ns is None:
            origin_ns = time_ns
        step = (time_ns - origin_ns + tolerance_ns) // step_ns
        if step >= next_step:
            yield frame
            next_step = step + 1
