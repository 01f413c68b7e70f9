"""Frames of a video: upright, timed, counted, one at a time.

`frame_index` counts what the decoder shows, in presentation order, before any sampling; `pts_ns`
is the container's own time (it may start late or below zero). Decoding always starts at the
first frame, so an index means the same frame whatever interval is asked for.

A video that breaks gives its good frames first and then a `DecodeBreakError`.
"""

from collections.abc import Generator, Iterable
from contextlib import closing
from itertools import islice
from typing import BinaryIO

from pvtt_flow.core.timeline import EVERY_FRAME, SamplingParams, sample
from pvtt_flow.errors import DataError
from pvtt_flow.types import Frame, Video
from pvtt_flow.video.container import open_container
from pvtt_flow.video.decoded import DecodeBreakError, DecodedFrame, decode_frames
from pvtt_flow.video.limits import DEFAULT_LIMITS, Limits

__all__ = ["DecodeBreakError", "read_frames", "read_frames_at_indices"]


def read_frames(
    file: BinaryIO,
    *,
    video: Video | None = None,
    sampling: SamplingParams = EVERY_FRAME,
    limits: Limits = DEFAULT_LIMITS,
    start_frame: int = 0,
    stop_frame: int | None = None,
) -> Generator[Frame]:
    """The frames of `[start_frame, stop_frame)` that `sampling` chooses, decoded as they are asked.

    `start_frame` itself is always chosen. With `video` (from `probe`) the frames must have the
    size that it tells. Fewer frames than asked for, even none, is no error: the video ends.

    Raises DataError like `open_container`, `over_limit` past the limits, `undecodable` when not
    one frame decodes and, after the good frames, DecodeBreakError. Closing the iterator closes
    the container but not the file.
    """
    with closing(_decoded(file, video, limits)) as decoded:
        shot = islice(decoded, start_frame, stop_frame)
        for coded in sample(shot, sampling, pts_ns=lambda coded: coded.pts_ns):
            yield coded.painted()


def read_frames_at_indices(
    file: BinaryIO,
    frame_indices: Iterable[int],
    *,
    video: Video | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> dict[int, Frame]:
    """The frames of these indices, by index; holds them all, so ask for few.

    Raises what `read_frames` raises (DecodeBreakError only if a frame asked for is not before
    the break), and DataError of kind `bad_prompt` for an index that the video does not reach.
    """
    wanted = set(frame_indices)
    if not wanted:
        return {}
    if min(wanted) < 0:
        raise ValueError(f"frame_indices must be at least 0, got {min(wanted)}")
    found: dict[int, Frame] = {}
    num_frames = 0
    with closing(_decoded(file, video, limits)) as decoded:
        for coded in islice(decoded, max(wanted) + 1):
            num_frames += 1
            if coded.frame_index in wanted:
                found[coded.frame_index] = coded.painted()
    missing = wanted - found.keys()
    if missing:
        raise DataError(
            "bad_prompt",
            f"frame_index must be below {num_frames}, the number of frames in this video, "
            f"got {min(missing)}; correct the frame_index of the prompt",
        )
    return found


def _decoded(file: BinaryIO, video: Video | None, limits: Limits) -> Generator[DecodedFrame]:
    size_px = None if video is None else (video.coded_width_px, video.coded_height_px)
    with open_container(file, limits) as opened:
        yield from decode_frames(opened, limits, size_px=size_px)
