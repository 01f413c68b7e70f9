"""Frames as the decoder shows them: counted, timed and checked, not yet painted."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from pvtt_flow.core.timeline import NS_PER_S, to_ns
from pvtt_flow.errors import DataError
from pvtt_flow.types import Frame
from pvtt_flow.video.color.rgb import RgbConverter
from pvtt_flow.video.container import OpenVideo
from pvtt_flow.video.limits import Limits
from pvtt_flow.video.packet_decoder import DamageError, decode_packets

# What FFmpeg assumes of a stream that says nothing.
_FALLBACK_FPS = Fraction(25)
# Else the rest of a damaged picture is what was in memory, or what damaged bytes make of it, and
# nothing says so.
_STRICT = {
    "mjpeg": {"err_detect": "explode"},
    "png": {"err_detect": "crccheck+explode"},
    "apng": {"err_detect": "crccheck+explode"},
}


class DecodeBreakError(DataError):
    """Decoding broke in the middle: every frame below `frame_index` is good, none after it."""

    def __init__(self, frame_index: int, reason: str) -> None:
        super().__init__(
            "undecodable",
            f"every frame must decode, but decoding broke at frame {frame_index}: {reason}; "
            f"the frames before it are good, upload the video again for the rest",
        )
        self.frame_index = frame_index
        self.reason = reason

    # Pickle rebuilds from the constructor's arguments, which are not those of the base.
    def __reduce__(self) -> tuple[type["DecodeBreakError"], tuple[int, str]]:  # type: ignore[override]
        return (type(self), (self.frame_index, self.reason))


@dataclass(frozen=True, slots=True, eq=False)
class DecodedFrame:
    """One decoded frame in FFmpeg's hands."""

    frame_index: int
    pts_ns: int
    picture: VideoFrame
    painter: RgbConverter
    """That of the first frame, for the whole video."""

    def painted(self) -> Frame:
        """Upright and RGB."""
        rgb = self.painter.paint(self.picture)
        return Frame(frame_index=self.frame_index, pts_ns=self.pts_ns, rgb=rgb)


def fps_of(stream: VideoStream) -> Fraction:
    """Frames a second from the header: the average, else FFmpeg's guess, else its default."""
    return stream.average_rate or stream.guessed_rate or _FALLBACK_FPS


def decode_frames(
    opened: OpenVideo,
    limits: Limits,
    *,
    size_px: tuple[int, int] | None = None,
) -> Iterator[DecodedFrame]:
    """All frames in presentation order; each is alive until the next one is asked for.

    A frame without a time is put one frame duration after the one before it, the first at 0.
    `size_px` is the coded (width, height) to expect, else the first frame's.

    Raises DataError of kind `undecodable` (not one frame), `over_limit` or `unreadable`, and
    DecodeBreakError after the good frames.
    """
    stream = opened.stream
    # With frame threads a damaged picture may be shown before it is known to be damaged, and with
    # slice threads FFmpeg does not look for damage in H.264.
    stream.thread_count = 1
    codec = stream.codec_context.name
    if codec in _STRICT:
        stream.codec_context.options = _STRICT[codec]
    packets = opened.container.demux(stream)
    frame_index, first_ns, painter, rotation_deg = 0, 0, None, 0
    try:
        for picture, pts_ns in _timed(decode_packets(opened, packets), stream):
            size_px = _same_size(picture, size_px)
            if painter is None:
                limits.check_size(*size_px)
                first_ns, painter = pts_ns, RgbConverter(picture, stream)
                limits.check_size(*painter.display.size_px)
                rotation_deg = picture.rotation
            elif codec in _STRICT:
                _same_turn(picture, rotation_deg)
            limits.check_length(frame_index + 1, pts_ns - first_ns)
            yield DecodedFrame(frame_index, pts_ns, picture, painter)
            frame_index += 1
    except DamageError as broken:
        if frame_index:
            raise DecodeBreakError(frame_index, str(broken)) from broken
        raise _undecodable(opened, str(broken)) from broken
    if frame_index == 0:
        raise _undecodable(opened, "the track is empty")


def _same_size(picture: VideoFrame, size_px: tuple[int, int] | None) -> tuple[int, int]:
    """The picture's (width, height); DamageError if another was expected."""
    found = (picture.width, picture.height)
    if size_px not in {None, found}:
        raise DamageError("the picture is {}x{} and no longer {}x{}".format(*found, *size_px))
    return found


def _same_turn(picture: VideoFrame, rotation_deg: int) -> None:
    """DamageError if the picture is turned otherwise: photos tell each their own way up."""
    if picture.rotation != rotation_deg:
        raise DamageError("the picture is turned otherwise than the first one")


def _timed(pictures: Iterator[VideoFrame], stream: VideoStream) -> Iterator[tuple[VideoFrame, int]]:
    """Each picture with its time in nanoseconds."""
    step_ns = round(NS_PER_S / fps_of(stream))
    next_ns = 0
    for picture in pictures:
        time_base = picture.time_base or stream.time_base
        if picture.pts is None or time_base is None:
            pts_ns = next_ns
        else:
            pts_ns = to_ns(picture.pts, time_base)
        next_ns = pts_ns + step_ns
        yield picture, pts_ns


def _undecodable(opened: OpenVideo, reason: str) -> DataError:
    return DataError(
        "undecodable",
        f"the video track ({opened.stream.codec_context.name}) must have at least one frame that "
        f"decodes, but the first one does not: {reason}; upload the video again or transcode it",
    )
