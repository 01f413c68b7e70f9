"""Open a container at its main video stream, or raise why that is impossible.

The caller owns the file: any seekable binary object, local or remote. FFmpeg reads ranges of it,
starting at the first byte; the file is neither closed nor read as a whole.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import SEEK_END, RawIOBase
from typing import BinaryIO

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Discard, Disposition
from av.video.stream import VideoStream

from pvtt_flow.core.virtual_file import PictureSequence
from pvtt_flow.errors import DataError
from pvtt_flow.video.formats.quicktime import PictureFile
from pvtt_flow.video.formats.webp import HEAD_BYTES, AnimatedWebp, is_animated
from pvtt_flow.video.limits import NO_TIMER, FrameTimer, Limits

# Large enough for few ranged reads from an object store, small enough to waste little after a seek.
_BUFFER_BYTES = 256 * 1024
# Both outermost Matroska elements start well within this.
_MATROSKA_HEAD_BYTES = 4096
_EBML_ID, _SEGMENT_ID = 0x1A45DFA3, 0x18538067
_EBML_ID_BYTES = 4
# AVFMT_FLAG_GENPTS, which PyAV sets: it makes up missing timestamps, which are out of order if
# B-frames are references.
_GEN_PTS = 1
_NOT_THE_VIDEO = (
    Disposition.attached_pic
    | Disposition.timed_thumbnails
    | Disposition.still_image
    | Disposition.dependent
)
# Some of FFmpeg's errors reach Python as bare OSErrors (EINVAL, EPERM) rather than its own type.
FFMPEG_ERRORS = (av.FFmpegError, OSError)


class ErrorRecordingFile:
    """File that records the error of a failed read.

    FFmpeg turns a failed read into an error of its own or into an early end of the stream. Without
    the record, a storage error would look like a broken video.
    """

    def __init__(self, file: BinaryIO | RawIOBase, timer: FrameTimer) -> None:
        """Wrap a seekable file; `timer` is paused during reads."""
        self._file = file
        self._timer = timer
        self.seek = file.seek
        self.tell = file.tell
        self._error: Exception | None = None

    def read(self, num_bytes: int) -> bytes:
        """Return up to `num_bytes` from the current position; empty at the end."""
        try:
            with self._timer.paused():
                return self._file.read(num_bytes)
        except Exception as error:
            self._error = error
            raise

    def check_reads(self) -> None:
        """Raise a DataError of kind `unreadable` if a read has failed."""
        if self._error is not None:
            raise DataError(
                "unreadable",
                f"the file must be readable to its end, but a read failed with "
                f"{type(self._error).__name__}: {self._error}; check the storage and run again",
            ) from self._error

    def read_at(self, offset: int, num_bytes: int) -> bytes:
        """Return up to `num_bytes` from `offset` on; keep the position.

        Raises a DataError of kind `unreadable` if the read fails.
        """
        position = self.tell()
        try:
            self.seek(offset)
            return self.read(num_bytes)
        except OSError:
            self.check_reads()
            raise
        finally:
            self.seek(position)

    def bytes_beyond_declared_size(self) -> int | None:
        """Return the file size minus the size that a Matroska header declares; keep the position.

        Negative for a truncated file; None if the header declares no size.
        """
        size_bytes = declared_size(self.read_at(0, _MATROSKA_HEAD_BYTES))
        if size_bytes is None:
            return None
        position = self.tell()
        end = self.seek(0, SEEK_END)
        self.seek(position)
        return end - size_bytes


@dataclass(frozen=True, slots=True, eq=False)
class OpenVideo:
    """Container opened at its main video stream."""

    file: ErrorRecordingFile
    container: InputContainer
    stream: VideoStream
    timer: FrameTimer
    is_picture_sequence: bool
    """True if the frames are still pictures of one's own (attribute `pictures` of the file)."""


@contextmanager
def open_container(
    file: BinaryIO, limits: Limits, timer: FrameTimer = NO_TIMER
) -> Iterator[OpenVideo]:
    """Open the container at its main stream; FFmpeg discards the packets of other streams.


    Raises DataError of kind `not_a_video`, `no_video_stream`, `undecodable` (unknown codec),
    `over_limit` or `unreadable`.
    """
    file.seek(0)
    recording = ErrorRecordingFile(as_container(file), timer)
    timer.restart()
    try:
        # A playlist may name other files: FFmpeg must open nothing but this file.
        container = av.open(
            _for_ffmpeg(recording, limits),
            "r",
            buffer_size=_BUFFER_BYTES,
            container_options={"protocol_whitelist": "none"},
            # Titles may be in any encoding; they are not used.
            metadata_errors="replace",
        )
    except FFMPEG_ERRORS as error:
        recording.check_reads()
        raise DataError(
            "not_a_video",
            f"the content must be a video file, but FFmpeg cannot open it "
            f"({ffmpeg_message(error)}); upload it again or take it out of the input",
        ) from error
    with container:
        recording.check_reads()
        container.flags &= ~_GEN_PTS
        limits.check_streams(len(container.streams))
        stream = main_stream(container)
        limits.check_size(stream.codec_context.width, stream.codec_context.height)
        for unused in container.streams:
            if unused.index != stream.index:
                unused.discard = Discard.all
        is_picture_sequence = getattr(file, "pictures", None) is not None
        yield OpenVideo(recording, container, stream, timer, is_picture_sequence)


def demux(opened: OpenVideo) -> "Iterator[Packet[VideoStream]]":
    """Yield the packets of the stream from the present position on, and an empty one at its end."""
    has_ended = False
    try:
        for packet in opened.container.demux(opened.stream):
            has_ended = is_end_of_stream(packet)
            yield packet
    except IndexError:
        # PyAV also ends streams that have appeared in the middle, which it does not know.
        if not has_ended:
            raise


def is_end_of_stream(packet: "Packet[VideoStream]") -> bool:
    """Return whether this is the empty packet with which PyAV ends a stream."""
    return packet.size == 0 and packet.dts is None


def as_container(file: BinaryIO) -> BinaryIO | RawIOBase:
    """Return the file, or for pictures (its attribute `pictures`) the QuickTime file of them."""
    pictures: PictureSequence | None = getattr(file, "pictures", None)
    return file if pictures is None else PictureFile(file, pictures)


def _for_ffmpeg(file: ErrorRecordingFile, limits: Limits) -> ErrorRecordingFile | AnimatedWebp:
    """Return the file, or its substitute if FFmpeg cannot decode the format."""
    return AnimatedWebp(file, limits) if is_animated(file.read_at(0, HEAD_BYTES)) else file


def main_stream(container: InputContainer) -> VideoStream:
    """Return the stream that a player would show.

    Cover pictures, thumbnails, stills and dependent views are skipped, and so are streams with less
    than half the frames of the longest one (the few large pictures of a motion photo); a stream
    whose header declares no frame count passes as long. Of the rest, the stream with the largest
    frames is chosen, then the default stream, then the first.
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
    max_frames = max(s.frames for s in known)
    long = [s for s in known if s.frames == 0 or 2 * s.frames >= max_frames]
    return max(
        long,
        key=lambda s: (s.width * s.height, bool(s.disposition & Disposition.default), -s.index),
    )


def ffmpeg_message(error: Exception) -> str:
    """Return FFmpeg's message without its error number."""
    return str(getattr(error, "strerror", None) or error)


def declared_size(head: bytes) -> int | None:
    """Return the file size that the first bytes of a Matroska or WebM file declare.

    None if they declare none, as in a live recording. FFmpeg does not compare it with the real
    size, so it takes a truncated file for complete. Both outermost elements are an id of four
    bytes, a size of variable length and the content.
    """
    position = 0
    for expected_id in (_EBML_ID, _SEGMENT_ID):
        size_at = position + _EBML_ID_BYTES
        if int.from_bytes(head[position:size_at], "big") != expected_id:
            return None
        size = _read_vint(head, size_at)
        if size is None:
            return None
        value, num_bytes = size
        content_at = size_at + num_bytes
        position = content_at + value
    return position


def _read_vint(head: bytes, at: int) -> tuple[int, int] | None:
    """Return value and length of an EBML variable-length integer (RFC 8794, section 4).

    The leading zeros of the first byte count the bytes that follow it. None at the end of `head`,
    and for the reserved value of all ones, an unknown size.
    """
    if at >= len(head) or head[at] == 0:
        return None
    num_bytes = 9 - head[at].bit_length()
    all_ones = (1 << 7 * num_bytes) - 1
    value = int.from_bytes(head[at : at + num_bytes], "big") & all_ones
    if at + num_bytes > len(head) or value == all_ones:
        return None
    return value, num_bytes


def _no_video(container: InputContainer) -> DataError:
    kinds = sorted({s.type for s in container.streams})
    # A text file passes for subtitles (FFmpeg's lyrics demuxer takes any line in brackets).
    if set(kinds) <= {"subtitle"}:
        return DataError(
            "not_a_video",
            f"the content must be a video file, but FFmpeg takes it for "
            f"{container.format.name!r} without pictures or sound; upload it again or take it out "
            f"of the input",
        )
    return DataError(
        "no_video_stream",
        f"the file must have a video track, got only {', '.join(kinds)} tracks "
        f"({container.format.name}); take it out of the input",
    )
