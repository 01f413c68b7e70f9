"""Decode a stream into frames: counted, timed and checked, up to the first corruption.

Frames keep their coded size, orientation and pixel format; `color.rgb` converts them.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from av.format import Flags
from av.packet import Packet
from av.video.frame import PictureType, VideoFrame
from av.video.stream import VideoStream

from pvtt_flow.errors import DataError
from pvtt_flow.types import Frame
from pvtt_flow.video.clock import FrameClock
from pvtt_flow.video.color.rgb import RgbConverter
from pvtt_flow.video.conform import FrameConformer
from pvtt_flow.video.container import (
    FFMPEG_ERRORS,
    OpenVideo,
    demux,
    ffmpeg_message,
    is_end_of_stream,
)
from pvtt_flow.video.formats.ogg import without_headers
from pvtt_flow.video.formats.transport_stream import has_only_joins
from pvtt_flow.video.limits import Limits

# Without these options the rest of a corrupt image is uninitialized memory, or whatever the corrupt
# bytes decode to, and no error is reported.
_IMAGE_CODEC_OPTIONS = {
    "mjpeg": {"err_detect": "explode"},
    "png": {"err_detect": "crccheck+explode"},
    "apng": {"err_detect": "crccheck+explode"},
}
# An H.264 decoder reorders at most this many frames; some encoders write nothing but B-frames.
_MAX_UNCONFIRMED = 16
# FFmpeg marks the packet that its parser returns at the damage, which is up to two packets later.
_MARK_DELAY = 2
# Each is 64 KiB or more in the file.
_MAX_INTERRUPTIONS = 1 << 20
_INCOMPLETE = "the file ends in the middle of a frame, or bytes are missing"


class DecodeError(Exception):
    """Decoding must stop here: the stream is corrupt or incomplete."""


class TruncatedVideoError(DataError):
    """Decoding stopped early: every frame below `frame_index` is good, and none follows."""

    def __init__(self, frame_index: int, reason: str) -> None:
        """Record the index of the first frame that is missing, and why."""
        super().__init__(
            "undecodable",
            f"every frame must decode, but decoding stopped at frame {frame_index}: {reason}; "
            f"the frames before it are good, upload the video again for the rest",
        )
        self.frame_index = frame_index
        self.reason = reason

    # Pickle rebuilds from the constructor's arguments, which are not those of the base.
    def __reduce__(self) -> tuple[type["TruncatedVideoError"], tuple[int, str]]:  # type: ignore[override]
        return (type(self), (self.frame_index, self.reason))


@dataclass(frozen=True, slots=True, eq=False)
class DecodedFrame:
    """Decoded frame before RGB conversion and rotation; valid until the next one is requested."""

    frame_index: int
    pts_ns: int
    av_frame: VideoFrame
    rgb_converter: RgbConverter
    """Converter of the whole video, made from its first frame."""
    conform: FrameConformer
    """Gives other frames of the video the size and pixel format of this one."""

    def to_rgb(self) -> Frame:
        """Return the frame upright, in RGB and independent of the decoder."""
        rgb = self.rgb_converter.to_rgb(self.av_frame)
        return Frame(frame_index=self.frame_index, pts_ns=self.pts_ns, rgb=rgb)


def decode_frames(
    opened: OpenVideo, limits: Limits, *, size_px: tuple[int, int] | None = None
) -> Iterator[DecodedFrame]:
    """Decode the stream from its first frame, in presentation order.

    Times are those of `FrameClock`. Frames have the size of the first one, cropped as the container
    says (`FrameConformer`); `size_px` is the (width, height) to expect.

    Raises DataError of kind `undecodable` (no frame at all), `over_limit` or `unreadable`, and
    TruncatedVideoError after the last good frame.
    """
    stream = opened.stream
    # With frame threads a corrupt frame may be returned before its corruption is found, and with
    # slice threads FFmpeg does not look for corruption in H.264.
    stream.thread_count = 1
    codec = stream.codec_context.name
    if codec in _IMAGE_CODEC_OPTIONS:
        stream.codec_context.options = _IMAGE_CODEC_OPTIONS[codec]
    clock, conform = FrameClock(opened), FrameConformer(opened, limits)
    packets = _packets(opened)
    if opened.container.format.name == "ogg":
        packets = without_headers(opened, packets, clock)
    frame_index, first_ns, first, rgb_converter = 0, 0, None, None
    try:
        for decoded in decode_packets(opened, packets):
            pts_ns = clock.time_ns(decoded)
            if first is not None and opened.is_picture_sequence:
                _check_picture(decoded, first)
            frame = conform(decoded)
            if rgb_converter is None:
                _check_size(frame, size_px)
                first_ns, rgb_converter = pts_ns, RgbConverter(frame, stream)
                limits.check_size(*rgb_converter.display.size_px)
                first = decoded
            limits.check_length(frame_index + 1, pts_ns - first_ns)
            yield DecodedFrame(frame_index, pts_ns, frame, rgb_converter, conform)
            frame_index += 1
    except DecodeError as error:
        if frame_index:
            raise TruncatedVideoError(frame_index, str(error)) from error
        raise _undecodable(opened, str(error)) from error
    if frame_index == 0:
        raise _undecodable(opened, "the track is empty")


def decode_packets(
    opened: OpenVideo, packets: Iterable["Packet[VideoStream]"]
) -> Iterator[VideoFrame]:
    """Decode packets of the stream, up to the first corruption.

    Corruption is found in three ways. If packets are missing, the decoder is flushed as far as its
    frames are certain to be complete. If the decoder reports an error, decoding stops. If it marks
    a frame as concealed, the B-frames just before it may be predicted from it: therefore B-frames
    are held back until the frame after them has decoded.

    Raises DecodeError at the corruption, and DataError of kind `unreadable` if a read fails.
    """
    stream = opened.stream
    last_dts: int | None = None
    unconfirmed: deque[VideoFrame] = deque()
    try:
        for packet, is_complete in _with_completeness(opened, packets):
            missing = _missing_data(opened, packet, last_dts) if is_complete else _INCOMPLETE
            if missing:
                yield from unconfirmed
                yield from _flush(stream, last_dts)
                raise DecodeError(missing)
            if packet.size == 0 and not is_end_of_stream(packet):
                # The decoder would take an empty sample for the end of the stream.
                continue
            for frame in stream.decode(packet):
                if frame.is_corrupt:
                    raise DecodeError("the frame is corrupt")
                opened.timer.restart()
                unconfirmed.append(frame)
                if frame.pict_type != PictureType.B or len(unconfirmed) > _MAX_UNCONFIRMED:
                    while unconfirmed:
                        yield unconfirmed.popleft()
            last_dts = packet.dts if packet.dts is not None else last_dts
        yield from unconfirmed
    except FFMPEG_ERRORS as error:
        opened.file.check_reads()
        raise DecodeError(ffmpeg_message(error)) from error


def _packets(opened: OpenVideo) -> "Iterator[Packet[VideoStream]]":
    """Yield the packets of the stream.

    FFmpeg interrupts (EAGAIN) a long search for the next packet of a transport stream, of which
    receivers fill the end, or a gap, with zeros.
    """
    for _ in range(_MAX_INTERRUPTIONS):
        try:
            yield from demux(opened)
        except BlockingIOError:
            opened.file.check_reads()
        else:
            return
    raise DecodeError("the next frame is too far away")


def _with_completeness(
    opened: OpenVideo, packets: Iterable["Packet[VideoStream]"]
) -> "Iterator[tuple[Packet[VideoStream], bool]]":
    """Return each packet, and whether it is complete.

    A truncated packet must not be decoded: with frame threads PyAV hides its error behind the
    frames that come with it.
    """
    following: deque[Packet[VideoStream]] = deque()
    packets = iter(packets)
    while (packet := following.popleft() if following else next(packets, None)) is not None:
        if packet.is_corrupt:
            following.extend(islice(packets, _MARK_DELAY - len(following)))
        yield packet, not packet.is_corrupt or _is_before_join(opened, packet, following)


def _is_before_join(
    opened: OpenVideo, packet: "Packet[VideoStream]", following: "Iterable[Packet[VideoStream]]"
) -> bool:
    """Return whether a packet is marked only since it is before a join of transport streams."""
    positions = [p.pos for p in (packet, *following) if p.pos is not None]
    if opened.container.format.name != "mpegts" or packet.pos is None:
        return False
    return has_only_joins(opened.file, packet.pos, max(positions), opened.stream.id)


def _missing_data(opened: OpenVideo, packet: "Packet[VideoStream]", last_dts: int | None) -> str:
    """Return what is missing at this packet, as a message; empty if nothing is.

    FFmpeg takes a file that ends between two packets for complete.
    """
    if not is_end_of_stream(packet):
        return ""
    opened.file.check_reads()
    if "matroska" in opened.container.format.name:
        # A Matroska index lists keyframes only, by presentation time.
        is_truncated = (opened.file.bytes_beyond_declared_size() or 0) < 0
        return "the file is shorter than its header says" if is_truncated else ""
    if Flags.ts_discont in Flags(opened.container.format.flags):
        # FFmpeg has made the index while it read, of a clock that may have been later before.
        return ""
    entries = opened.stream.index_entries
    if last_dts is not None and len(entries) and entries[-1].timestamp > last_dts:
        return "the file ends before the last frame of its own index"
    return ""


def _flush(stream: VideoStream, last_dts: int | None) -> Iterator[VideoFrame]:
    """Return the frames that the decoder still holds for reordering, while none can be missing.

    The pts of a lost packet is at least its dts, which is later than the last good dts: frames up
    to that time are certain to have no gap before them.
    """
    for frame in stream.decode(None):
        if last_dts is None or frame.pts is None or frame.pts > last_dts or frame.is_corrupt:
            return
        yield frame


def _check_size(frame: VideoFrame, size_px: tuple[int, int] | None) -> None:
    """Raise DecodeError if the frame must have another (width, height)."""
    if size_px not in {None, (frame.width, frame.height)}:
        raise DecodeError(
            "the frame size must be {}x{}, got {}x{}".format(*size_px, frame.width, frame.height)
        )


def _check_picture(frame: VideoFrame, first: VideoFrame) -> None:
    """Raise DecodeError for a photo of another size or rotation: it is none of a video."""
    _check_size(frame, (first.width, first.height))
    if frame.rotation != first.rotation:
        raise DecodeError(
            f"the rotation must be {first.rotation} degrees as in the first frame, "
            f"got {frame.rotation}"
        )


def _undecodable(opened: OpenVideo, reason: str) -> DataError:
    return DataError(
        "undecodable",
        f"the video track ({opened.stream.codec_context.name}) must have at least one frame that "
        f"decodes, but the first one does not: {reason}; upload the video again or transcode it",
    )
