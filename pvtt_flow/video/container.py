"""An open container with its main video stream, or the reason why there is none.

The file is the caller's: any seekable binary object, local or remote. It is read in ranges,
from its start, and is neither closed nor read as a whole.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from os import SEEK_END
from typing import BinaryIO

import av
from av.container import InputContainer
from av.stream import Discard, Disposition
from av.video.stream import VideoStream

from pvtt_flow.errors import DataError
from pvtt_flow.video.formats.matroska import declared_size
from pvtt_flow.video.formats.webp import HEAD_BYTES, AnimatedWebp, is_animated
from pvtt_flow.video.limits import Limits
from pvtt_flow.video.process_limits import BOUNDS

# Few enough ranged reads for an object store, little enough read in vain after a seek.
_BUFFER_BYTES = 256 * 1024
# Matroska's first two elements start well within this.
_HEAD_BYTES = 4096
_NOT_THE_VIDEO = (
    Disposition.attached_pic
    | Disposition.timed_thumbnails
    | Disposition.still_image
    | Disposition.dependent
)
# Some of FFmpeg's errors reach Python as bare OSErrors (EINVAL, EPERM) rather than its own type.
FFMPEG_ERRORS = (av.FFmpegError, OSError)


class ErrorRecordingFile:
    """A file that remembers why a read failed.

    FFmpeg turns a failed read into its own error or into an early end of the stream. Neither may
    pass for a broken video: the video is fine, the storage was not.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.seek = file.seek
        self.tell = file.tell
        self._error: Exception | None = None

    def read(self, num_bytes: int) -> bytes:
        """Up to `num_bytes` from the current position; empty at the end."""
        try:
            with BOUNDS.paused():
                return self._file.read(num_bytes)
        except Exception as error:
            self._error = error
            raise

    def check(self) -> None:
        """Raises a DataError of kind `unreadable` when a read has failed."""
        if self._error is not None:
            raise DataError(
                "unreadable",
                f"the file must be readable to its end, but a read failed with "
                f"{type(self._error).__name__}: {self._error}; check the storage and run again",
            ) from self._error

    def peek(self, offset: int, num_bytes: int) -> bytes:
        """Up to `num_bytes` from `offset` on; keeps the position.

        Raises a DataError of kind `unreadable` when it cannot be read.
        """
        position = self.tell()
        try:
            self.seek(offset)
            return self.read(num_bytes)
        except OSError:
            self.check()
            raise
        finally:
            self.seek(position)

    def matroska_surplus(self) -> int | None:
        """Bytes of a Matroska file beyond those that its header promises, below 0 for a cut file.

        None when the header promises nothing. Keeps the position.
        """
        promised = declared_size(self.peek(0, _HEAD_BYTES))
        if promised is None:
            return None
        position = self.tell()
        num_bytes = self.seek(0, SEEK_END)
        self.seek(position)
        return num_bytes - promised


@dataclass(frozen=True, slots=True, eq=False)
class OpenVideo:
    """A container that is open at its main video stream."""

    file: ErrorRecordingFile
    container: InputContainer
    stream: VideoStream


@contextmanager
def open_container(file: BinaryIO, limits: Limits) -> Iterator[OpenVideo]:
    """The container and its main stream; the other streams are skipped unread.

    Raises DataError of kind `not_a_video`, `no_video_stream`, `undecodable` (a codec that nobody
    knows), `over_limit` or `unreadable`.
    """
    file.seek(0)
    watched = ErrorRecordingFile(file)
    BOUNDS.apply(limits)
    try:
        # A playlist may name other files: FFmpeg must open nothing but what it was given.
        container = av.open(
            _for_ffmpeg(watched, limits),
            "r",
            buffer_size=_BUFFER_BYTES,
            container_options={"protocol_whitelist": "none"},
            # Titles and the like may be in any encoding, and are not looked at.
            metadata_errors="replace",
        )
    except FFMPEG_ERRORS as error:
        watched.check()
        raise DataError(
            "not_a_video",
            f"the content must be a video file, but FFmpeg cannot open it ({reason_of(error)}); "
            f"upload it again or take it out of the input",
        ) from error
    with container:
        watched.check()
        limits.check_streams(len(container.streams))
        stream = main_stream(container)
        limits.check_size(stream.codec_context.width, stream.codec_context.height)
        for other in container.streams:
            if other.index != stream.index:
                other.discard = Discard.all
        yield OpenVideo(watched, container, stream)


def _for_ffmpeg(file: ErrorRecordingFile, limits: Limits) -> ErrorRecordingFile | AnimatedWebp:
    """The file, or what stands for one that FFmpeg does not decode."""
    return AnimatedWebp(file, limits) if is_animated(file.peek(0, HEAD_BYTES)) else file


def main_stream(container: InputContainer) -> VideoStream:
    """The stream that a person would call the video.

    Cover pictures, thumbnails, stills and dependent views are none. Tracks with less than half
    the frames of the longest are not either (the few large pictures of a motion photo); a track
    whose header does not count its frames is taken for long. Of the rest the largest picture
    wins, then the one marked as default, then the first.
    """
    streams = [s for s in container.streams.video if not s.disposition & _NOT_THE_VIDEO]
    if not streams:
        raise _no_video(container)
    known = [s for s in streams if s.codec_context is not None]
    if not known:
        raise DataError(
            "undecodable",
            "the video's codec must be one that FFmpeg decodes, but it is unknown; "
            "transcode the video to H.264",
        )
    most = max(s.frames for s in known)
    long = [s for s in known if s.frames == 0 or 2 * s.frames >= most]
    return max(
        long,
        key=lambda s: (s.width * s.height, bool(s.disposition & Disposition.default), -s.index),
    )


def reason_of(error: Exception) -> str:
    """FFmpeg's own words, without its error number."""
    return str(getattr(error, "strerror", None) or error)


def _no_video(container: InputContainer) -> DataError:
    found = sorted({s.type for s in container.streams})
    # A text file passes for subtitles (FFmpeg's lyrics demuxer takes any line in brackets).
    if set(found) <= {"subtitle"}:
        return DataError(
            "not_a_video",
            f"the content must be a video file, but FFmpeg takes it for "
            f"{container.format.name!r} without pictures or sound; upload it again or take it out "
            f"of the input",
        )
    return DataError(
        "no_video_stream",
        f"the file must have a video track, got only {', '.join(found)} tracks "
        f"({container.format.name}); take it out of the input",
    )
