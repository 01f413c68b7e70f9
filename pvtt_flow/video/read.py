"""Read frames of a video file: upright, in RGB, timed and counted.

`frame_index` counts the frames that the decoder returns, in presentation order, before any
sampling; `pts_ns` is the container's timestamp, which may start late or below zero. A video that is
corrupt gives its good frames first and then raises `TruncatedVideoError`.
"""

from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from itertools import chain, islice, pairwise
from typing import BinaryIO

from av.video.frame import VideoFrame

from pvtt_flow.core.timeline import EVERY_FRAME, FrameTime, SamplingParams, sample
from pvtt_flow.errors import DataError
from pvtt_flow.types import Frame, Video
from pvtt_flow.video.container import OpenVideo, open_container
from pvtt_flow.video.decode import DecodedFrame, decode_frames
from pvtt_flow.video.limits import DEFAULT_LIMITS, NO_TIMER, FrameTimer, Limits
from pvtt_flow.video.seek import (
    SeekNotExactError,
    frames_from_keyframe,
    keyframe_between,
    timestamps_are_unique,
)

# A gap of fewer frames is decoded, since a seek goes back to a keyframe.
_MIN_SEEK_FRAMES = 16


def read_frames(
    file: BinaryIO,
    *,
    video: Video | None = None,
    sampling: SamplingParams = EVERY_FRAME,
    limits: Limits = DEFAULT_LIMITS,
    timer: FrameTimer = NO_TIMER,
    start_frame: int = 0,
    stop_frame: int | None = None,
) -> Generator[Frame]:
    """Read the frames of `[start_frame, stop_frame)` that `sampling` selects, `start_frame` first.

    Decoding starts at the first frame, so that indices do not depend on the interval. Each frame is
    decoded when it is requested. With `video` (from `probe`), frames must have its coded size. A
    video that ends before `stop_frame` is no error.

    Raises DataError like `open_container`, `over_limit` beyond the limits, `undecodable` if not one
    frame decodes, and TruncatedVideoError after the last good frame. Closing the iterator closes
    the container but not the file.
    """
    with closing(_decode_file(file, video, limits, timer)) as decoded_frames:
        interval = islice(decoded_frames, start_frame, stop_frame)
        for decoded in sample(interval, sampling, pts_ns=lambda decoded: decoded.pts_ns):
            yield decoded.to_rgb()


def read_frames_at_indices(
    file: BinaryIO,
    frame_indices: Iterable[int],
    *,
    video: Video | None = None,
    limits: Limits = DEFAULT_LIMITS,
    timer: FrameTimer = NO_TIMER,
) -> dict[int, Frame]:
    """Read the frames of these indices into a dict by index; it holds all of them in memory.

    Raises what `read_frames` raises (TruncatedVideoError only if a requested frame is missing), and
    DataError of kind `bad_prompt` for an index beyond the end of the video.
    """
    wanted = set(frame_indices)
    if not wanted:
        return {}
    if min(wanted) < 0:
        raise ValueError(f"frame_indices must be at least 0, got {min(wanted)}")
    frames: dict[int, Frame] = {}
    num_frames = 0
    with closing(_decode_file(file, video, limits, timer)) as decoded_frames:
        for decoded in islice(decoded_frames, max(wanted) + 1):
            num_frames += 1
            if decoded.frame_index in wanted:
                frames[decoded.frame_index] = decoded.to_rgb()
    missing = wanted - frames.keys()
    if missing:
        raise DataError(
            "bad_prompt",
            f"frame_index must be below {num_frames}, the number of frames in this video, "
            f"got {min(missing)}; correct the frame_index of the prompt",
        )
    return frames


def read_frames_at_times(
    file: BinaryIO,
    wanted: Sequence[FrameTime],
    *,
    video: Video | None = None,
    limits: Limits = DEFAULT_LIMITS,
    timer: FrameTimer = NO_TIMER,
) -> Generator[Frame]:
    """Read these frames, in ascending order of index, without decoding the video from its start.

    `wanted` are times that `read_frames` has reported, and the frames equal those of `read_frames`.
    An index can only be verified by counting from the first frame, but a frame's time is in the
    file: seek to a keyframe before that time, decode from there and compare timestamps. If that is
    not exact, the video is decoded from its start. Frames that a seek skips are not checked:
    neither for corruption, nor for a changed number of frames.

    Raises what `read_frames` raises, and DataError of kind `source_changed` if the file has no such
    frame at that time, so that it is not the file that was read before. Closing the iterator closes
    the container but not the file.
    """
    for before, after in pairwise(wanted):
        if before.frame_index >= after.frame_index:
            raise ValueError(
                f"wanted must be in ascending order of frame_index, got {before} before {after}"
            )
    pending = deque(wanted)
    for may_seek in (True, False):
        if not pending:
            return
        with open_container(file, limits, timer) as opened:
            try:
                yield from _FrameReader(opened, pending, video, limits, may_seek=may_seek).read()
            except SeekNotExactError:
                continue


class _FrameReader:
    """Reads the pending frames of an open video, by decoding or by seeking to each."""

    def __init__(
        self,
        opened: OpenVideo,
        pending: deque[FrameTime],
        video: Video | None,
        limits: Limits,
        *,
        may_seek: bool,
    ) -> None:
        size_px = None if video is None else (video.coded_width_px, video.coded_height_px)
        self._opened = opened
        self._pending = pending
        self._limits = limits
        self._may_seek = (
            may_seek
            and (video is None or video.seekable)
            and _times_ascend(pending)
            and timestamps_are_unique(opened)
        )
        self._from_start = decode_frames(opened, limits, size_px=size_px)
        # Always decoded: it has the size and display of the whole video, and some decoders learn
        # from it how to read the rest (from Xvid's signature, for instance).
        self._first: DecodedFrame = next(self._from_start)

    def read(self) -> Iterator[Frame]:
        """Return the pending frames; raise SeekNotExactError if they must be counted instead."""
        if not (self._may_seek and self._pending[0].frame_index > _MIN_SEEK_FRAMES):
            yield from self._read_from_start()
        while self._pending:
            yield from self._read_from_keyframe()

    def _read_from_start(self) -> Iterator[Frame]:
        """Count frames from the first one, as long as decoding is faster than a seek."""
        num_frames = 0
        for decoded in chain([self._first], self._from_start):
            num_frames = decoded.frame_index + 1
            expected = self._pending[0]
            if decoded.frame_index == expected.frame_index:
                if decoded.pts_ns != expected.pts_ns:
                    raise _changed(expected, f"it is at {decoded.pts_ns} ns")
                yield self._take(decoded.av_frame)
                if not self._decoding_is_faster(expected):
                    return
        raise _changed(self._pending[0], f"it has {num_frames} frames")

    def _read_from_keyframe(self) -> Iterator[Frame]:
        """Seek before the next pending frame and decode, as long as that is faster than a seek."""
        frame_index: int | None = None
        for pts_ns, av_frame in frames_from_keyframe(self._opened, self._pending[0].pts_ns):
            if frame_index is not None:
                frame_index += 1
            expected = self._pending[0]
            if pts_ns < expected.pts_ns:
                continue
            self._check(pts_ns, frame_index)
            frame_index = expected.frame_index
            yield self._take(self._first.conform(av_frame))
            if not self._decoding_is_faster(expected):
                return
        raise SeekNotExactError("the video ends")

    def _check(self, pts_ns: int, frame_index: int | None) -> None:
        """Check that this is the next pending frame; `frame_index` is None if not counted yet."""
        expected = self._pending[0]
        if pts_ns != expected.pts_ns or frame_index not in {None, expected.frame_index}:
            raise SeekNotExactError(f"{expected} is frame {frame_index} at {pts_ns} ns")
        self._limits.check_length(expected.frame_index + 1, pts_ns - self._first.pts_ns)

    def _take(self, av_frame: VideoFrame) -> Frame:
        """Convert the next pending frame and remove it from the queue: no retry repeats it."""
        rgb = self._first.rgb_converter.to_rgb(av_frame)
        frame_index, pts_ns = self._pending.popleft()
        return Frame(frame_index=frame_index, pts_ns=pts_ns, rgb=rgb)

    def _decoding_is_faster(self, last: FrameTime) -> bool:
        """Return whether decoding on from `last` reaches the next pending frame before a seek."""
        if not self._pending:
            return False
        following = self._pending[0]
        return not (
            self._may_seek
            and following.frame_index - last.frame_index > _MIN_SEEK_FRAMES
            and keyframe_between(self._opened.stream, last.pts_ns, following.pts_ns)
        )


def _decode_file(
    file: BinaryIO, video: Video | None, limits: Limits, timer: FrameTimer
) -> Generator[DecodedFrame]:
    size_px = None if video is None else (video.coded_width_px, video.coded_height_px)
    with open_container(file, limits, timer) as opened:
        yield from decode_frames(opened, limits, size_px=size_px)


def _times_ascend(times: Iterable[FrameTime]) -> bool:
    """Return whether no time repeats, so that it identifies a frame."""
    return all(before.pts_ns < after.pts_ns for before, after in pairwise(times))


def _changed(expected: FrameTime, actual: str) -> DataError:
    return DataError(
        "source_changed",
        f"the file must be the one that was processed, in which frame {expected.frame_index} is at "
        f"{expected.pts_ns} ns, but {actual}; process it again",
    )
