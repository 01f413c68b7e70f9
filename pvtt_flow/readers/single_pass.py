"""All clips of one video in one pass over its frames."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from pvtt_flow.core.timeline import FrameTime
from pvtt_flow.readers.sample import MaskletRow, Sample
from pvtt_flow.types import Frame

Read = Callable[[Sequence[FrameTime]], Iterable[Frame]]
"""The frames at some times, in order, decoded as they are asked for."""


@dataclass(frozen=True, slots=True)
class Clip:
    """A masklet, and which of its frames."""

    row: MaskletRow
    positions: range


def swept(clips: Sequence[Clip], read: Read) -> Iterator[Sample]:
    """Each clip as soon as its last frame is decoded; holds only what later clips share."""
    timed = [(clip.row.times(clip.positions), clip) for clip in clips]
    timed.sort(key=lambda item: (item[0][-1], item[0][0]))
    wanted = sorted({time for times, _ in timed for time in times})
    decoded = iter(read(wanted))
    held: dict[int, Frame] = {}
    for (times, clip), first in zip(timed, _still_needed([t[0] for t, _ in timed]), strict=True):
        _decode_to(times[-1].frame_index, decoded, held)
        yield clip.row.sample(clip.positions, [held[time.frame_index] for time in times])
        for index in [index for index in held if index < first]:
            del held[index]


def _still_needed(firsts: Sequence[FrameTime]) -> list[float]:
    """After each clip: the first frame that a later one begins with."""
    later = [float(time.frame_index) for time in firsts[1:]]
    return list(accumulate(later[::-1], min, initial=float("inf")))[::-1]


def _decode_to(frame_index: int, decoded: Iterator[Frame], held: dict[int, Frame]) -> None:
    if frame_index in held:
        return
    for frame in decoded:
        held[frame.frame_index] = frame
        if frame.frame_index == frame_index:
            return
