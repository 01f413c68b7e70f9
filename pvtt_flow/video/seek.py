"""Frames that were read once, found again without decoding the video from its start.

A frame's index can only be told by counting from the first frame, but its time is in the file: a
seek goes to a keyframe before it, and decoding from there meets that time. Where `landing` finds
that this is not sure, the video is decoded from its start and the frames are counted.
"""

from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from itertools import chain, pairwise
from typing import BinaryIO

from av.video.frame import VideoFrame

from pvtt_flow.core.timeline import FrameTime
from pvtt_flow.errors import DataError
from pvtt_flow.types import Frame, Video
from pvtt_flow.video.container import OpenVideo, open_container
from pvtt_flow.video.decoded import DecodedFrame, decode_frames
from pvtt_flow.video.limits import DEFAULT_LIMITS, Limits
from pvtt_flow.video.one_clock import timestamps_are_unique
from pvtt_flow.video.verified_seek import SeekNotExactError, frames_from_keyframe, keyframe_between

# Fewer frames than these are decoded and not stepped over: a seek goes back to a keyframe.
_WORTH_A_SEEK = 16


def read_frames_at_times(
    file: BinaryIO,
    wanted: Sequence[FrameTime],
    *,
    video: Video | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Generator[Frame]:
    """Exactly these frames, by ascending index, as `read_frames` gives them; decoded as asked for.

    `wanted` is what `read_frames` has once told of them. What a seek steps over is not looked at:
    neither damage is met there, nor that a changed file has more or fewer frames before this time.

    Raises what `read_frames` raises, and DataError of kind `source_changed` when the file has no
    such frame at that time: it is not the one that was read. Closing the iterator closes the
    container but not the file.
    """
    for before, after in pairwise(wanted):
        if before.frame_index >= after.frame_index:
            raise ValueError(
                f"wanted must be in ascending order of frame_index, got {before} before {after}"
            )
    rest = deque(wanted)
    for may_seek in (True, False):
        if not rest:
            return
        with open_container(file, limits) as opened:
            try:
                yield from _Reading(opened, rest, video, limits, may_seek=may_seek).frames()
            except SeekNotExactError:
                continue


class _Reading:
    """An open video, and the frames of it that are still to be given."""

    def __init__(
        self,
        opened: OpenVideo,
        rest: deque[FrameTime],
        video: Video | None,
        limits: Limits,
        *,
        may_seek: bool,
    ) -> None:
        size_px = None if video is None else (video.coded_width_px, video.coded_height_px)
        self._opened = opened
        self._rest = rest
        self._limits = limits
        self._may_seek = may_seek and _ascending(rest) and timestamps_are_unique(opened)
        self._counted = decode_frames(opened, limits, size_px=size_px)
        # Always decoded: the whole video has its size and display, and decoders learn from it
        # (from Xvid's signature, say) how to read the rest.
        self._first: DecodedFrame = next(self._counted)

    def frames(self) -> Iterator[Frame]:
        """The rest; UntrustedError when it must be counted instead."""
        if not (self._may_seek and self._rest[0].frame_index > _WORTH_A_SEEK):
            yield from self._by_count()
        while self._rest:
            yield from self._by_time()

    def _by_count(self) -> Iterator[Frame]:
        """From the start, up to where a seek is better."""
        num_frames = 0
        for coded in chain([self._first], self._counted):
            num_frames = coded.frame_index + 1
            expected = self._rest[0]
            if coded.frame_index == expected.frame_index:
                if coded.pts_ns != expected.pts_ns:
                    raise _changed(expected, f"it is at {coded.pts_ns} ns")
                yield self._given(coded.picture)
                if not self._decodes_on(expected):
                    return
        raise _changed(self._rest[0], f"it has {num_frames} frames")

    def _by_time(self) -> Iterator[Frame]:
        """From a keyframe before the next one, up to where another seek is better."""
        frame_index: int | None = None
        for pts_ns, picture in frames_from_keyframe(self._opened, self._rest[0].pts_ns):
            if frame_index is not None:
                frame_index += 1
            expected = self._rest[0]
            if pts_ns < expected.pts_ns:
                continue
            self._check(picture, pts_ns, frame_index)
            frame_index = expected.frame_index
            yield self._given(picture)
            if not self._decodes_on(expected):
                return
        raise SeekNotExactError("the video ends")

    def _check(self, picture: VideoFrame, pts_ns: int, frame_index: int | None) -> None:
        """Whether this is the next one; `frame_index` where it could be counted."""
        expected, first = self._rest[0], self._first
        if pts_ns != expected.pts_ns or frame_index not in {None, expected.frame_index}:
            raise SeekNotExactError(f"{expected} is frame {frame_index} at {pts_ns} ns")
        if (picture.width, picture.height) != (first.picture.width, first.picture.height):
            raise SeekNotExactError("the picture's size changes")
        self._limits.check_length(expected.frame_index + 1, pts_ns - first.pts_ns)

    def _given(self, picture: VideoFrame) -> Frame:
        """The next one, which is then done: what has been given is never given again."""
        rgb = self._first.painter.paint(picture)
        frame_index, pts_ns = self._rest.popleft()
        return Frame(frame_index=frame_index, pts_ns=pts_ns, rgb=rgb)

    def _decodes_on(self, last: FrameTime) -> bool:
        """Whether there is a next one, and decoding reaches it sooner than a seek."""
        if not self._rest:
            return False
        after = self._rest[0]
        return not (
            self._may_seek
            and after.frame_index - last.frame_index > _WORTH_A_SEEK
            and keyframe_between(self._opened.stream, last.pts_ns, after.pts_ns)
        )


def _ascending(times: Iterable[FrameTime]) -> bool:
    """Whether no time comes twice, so that it tells which frame is meant."""
    return all(before.pts_ns < after.pts_ns for before, after in pairwise(times))


def _changed(expected: FrameTime, found: str) -> DataError:
    return DataError(
        "source_changed",
        f"the file must be the one that was processed, in which frame {expected.frame_index} is at "
        f"{expected.pts_ns} ns, but {found}; process it again",
    )
