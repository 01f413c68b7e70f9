"""Partition of a video into shots, from its cuts or from the intervals of a manifest."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from math import ceil
from typing import Annotated, Self, TypeAlias

from pydantic import Field, model_validator

from pvtt_flow.core import ids
from pvtt_flow.core.timeline import NS_PER_S
from pvtt_flow.errors import DataError
from pvtt_flow.params import Params
from pvtt_flow.types import Shot

Interval: TypeAlias = tuple[int, int]
"""Frames `[start, stop)`."""


class ShotParams(Params):
    """Splitting of videos into shots. `shots` of a manifest row replace all of this for its
    video."""

    detect_cuts: bool = True
    """Split videos at hard cuts, dissolves and fades; false: each video is one shot."""
    min_length_s: Annotated[float, Field(ge=0)] = 0.5
    """Shortest shot, in seconds; a shorter one is merged into the previous shot. The first shot of
    a video may be shorter."""
    max_length_s: Annotated[float, Field(gt=0)] | None = None
    """Longest shot, in seconds; longer shots are split into equal parts; null: no limit. At least
    twice `min_length_s`."""

    @model_validator(mode="after")
    def _room_to_split(self) -> Self:
        if self.max_length_s is not None and self.max_length_s < 2 * self.min_length_s:
            raise ValueError(
                f"max_length_s must be at least twice min_length_s, so that parts are no stubs, "
                f"got {self.max_length_s} and {self.min_length_s}"
            )
        return self


def partition(
    cuts: Iterable[int], times_ns: Sequence[int], end_ns: int, params: ShotParams
) -> list[Interval]:
    """Return consecutive intervals that cover all frames of `times_ns`.

    A cut is the first frame of the new scene. Where cuts lie closer together than the minimum
    length, the last one counts and the short intervals go to the shot before it: products are
    looked for on a shot's first frame, so a shot must begin with its own scene, while a few foreign
    frames at its end do little harm.
    """
    edges_ns = (*times_ns, end_ns)
    num_frames = len(times_ns)
    inside = sorted({cut for cut in cuts if 0 < cut < num_frames})
    shots: list[Interval] = []
    for start, stop in pairwise([0, *inside, num_frames]):
        is_stub = edges_ns[stop] - edges_ns[start] < params.min_length_s * NS_PER_S
        if is_stub and shots:
            shots[-1] = shots[-1][0], stop
        else:
            shots.append((start, stop))
    return [part for shot in shots for part in _split(shot, edges_ns, params.max_length_s)]


def clip_intervals(
    intervals: Sequence[Interval], num_frames: int, *, is_truncated: bool
) -> list[Interval]:
    """Clip a manifest's intervals to the frames of the video, which damage may have truncated.

    Raises DataError of kind `bad_shot` if a complete video is too short for them.
    """
    if not is_truncated and intervals[-1][1] > num_frames:
        raise DataError(
            "bad_shot",
            f"shots must lie within the video, which has {num_frames} frames, "
            f"got {list(intervals[-1])}; correct the manifest",
        )
    return [(start, min(stop, num_frames)) for start, stop in intervals if start < num_frames]


def shots_of(
    video_id: str, intervals: Iterable[Interval], times_ns: Sequence[int], end_ns: int
) -> list[Shot]:
    """Return the shots with the times of their frames; a shot ends when the next frame is shown."""
    edges_ns = (*times_ns, end_ns)
    return [
        Shot(
            shot_id=ids.shot_id(video_id, index, start),
            index=index,
            start_frame=start,
            stop_frame=stop,
            start_ns=edges_ns[start],
            # Frames may all be at one time.
            stop_ns=max(edges_ns[stop], edges_ns[start] + 1),
            times_ns=tuple(times_ns[start:stop]),
        )
        for index, (start, stop) in enumerate(intervals)
    ]


def _split(shot: Interval, edges_ns: Sequence[int], max_length_s: float | None) -> list[Interval]:
    """Split a shot into the fewest parts that are short enough, equal up to a frame."""
    start, stop = shot
    length_ns = edges_ns[stop] - edges_ns[start]
    if max_length_s is None or length_ns <= max_length_s * NS_PER_S:
        return [shot]
    part_ns = length_ns / ceil(length_ns / (max_length_s * NS_PER_S))
    return list(pairwise([start, *_part_starts(shot, edges_ns, part_ns), stop]))


def _part_starts(shot: Interval, edges_ns: Sequence[int], part_ns: float) -> Iterator[int]:
    """Yield the first frame at or after each multiple of `part_ns`."""
    start, stop = shot
    due_ns = edges_ns[start] + part_ns
    for frame in range(start + 1, stop):
        # The sum of parts carries a rounding error, and times are whole nanoseconds: half of one is
        # a tolerance that no two frames can share.
        if due_ns - 0.5 <= edges_ns[frame]:
            yield frame
            due_ns += part_ns
