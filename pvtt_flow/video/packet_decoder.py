"""What the decoder shows, in presentation order, up to the first damage."""

from collections import deque
from collections.abc import Iterable, Iterator

from av.packet import Packet
from av.video.frame import PictureType, VideoFrame
from av.video.stream import VideoStream

from pvtt_flow.video.container import FFMPEG_ERRORS, OpenVideo, reason_of
from pvtt_flow.video.process_limits import BOUNDS

# As many as an H.264 decoder may reorder; some encoders make nothing but B-frames.
_MAX_UNSURE = 16


class DamageError(Exception):
    """The stream is damaged here."""


def decode_packets(
    opened: OpenVideo, packets: Iterable["Packet[VideoStream]"]
) -> Iterator[VideoFrame]:
    """What the decoder shows of these packets of the stream, up to the first damage.

    Damage shows up in three ways. Packets are missing: what the decoder still holds is given as
    far as it is sure. The decoder reports an error. Or it marks a frame as patched up, and what
    builds upon that one is what follows it and the B-frames just before it: so these wait until
    the frame after them is known to be good.

    Raises DamageError there, and DataError of kind `unreadable` when a read fails.
    """
    stream = opened.stream
    last_dts: int | None = None
    unsure: deque[VideoFrame] = deque()
    try:
        for packet in packets:
            missing = _missing(opened, packet, last_dts)
            if missing:
                yield from unsure
                yield from _held_back(stream, last_dts)
                raise DamageError(missing)
            if packet.size == 0 and not _is_end(packet):
                # An empty sample shows nothing, and the decoder would take it for the end.
                continue
            for frame in stream.decode(packet):
                if frame.is_corrupt:
                    raise DamageError("the frame is damaged")
                BOUNDS.renew()
                unsure.append(frame)
                if frame.pict_type != PictureType.B or len(unsure) > _MAX_UNSURE:
                    while unsure:
                        yield unsure.popleft()
            last_dts = packet.dts if packet.dts is not None else last_dts
        yield from unsure
    except FFMPEG_ERRORS as error:
        opened.file.check()
        raise DamageError(reason_of(error)) from error


def _missing(opened: OpenVideo, packet: "Packet[VideoStream]", last_dts: int | None) -> str:
    """What is missing at this packet, in words; nothing when all is well.

    A cut packet must not be decoded: with frame threads PyAV hides its error behind the frames
    that come with it. And FFmpeg takes a file that ends between two packets for complete.
    """
    if packet.is_corrupt:
        return "the file ends in the middle of a frame, or bytes are missing"
    if not _is_end(packet):
        return ""
    opened.file.check()
    if "matroska" in opened.container.format.name:
        # Its index holds keyframes only, and when they are shown.
        is_cut = (opened.file.matroska_surplus() or 0) < 0
        return "the file is shorter than its header says" if is_cut else ""
    entries = opened.stream.index_entries
    if last_dts is not None and len(entries) and entries[-1].timestamp > last_dts:
        return "the file ends before the last frame of its own index"
    return ""


def _is_end(packet: "Packet[VideoStream]") -> bool:
    """Whether this is the mark with which PyAV ends a stream."""
    return packet.size == 0 and packet.dts is None


def _held_back(stream: VideoStream, last_dts: int | None) -> Iterator[VideoFrame]:
    """Frames that reordering holds back when the packets stop coming.

    A lost packet is shown at its dts or later, and its dts is past the last good one: only
    frames up to there are sure to have none missing before them.
    """
    for frame in stream.decode(None):
        if last_dts is None or frame.pts is None or frame.pts > last_dts or frame.is_corrupt:
            return
        yield frame
