"""Headers of codecs in the middle of an Ogg file: joining files with `cat` puts them there.

FFmpeg returns them as packets of the video, and counts each as a frame that does not decode.
"""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from pvtt_flow.video.clock import FrameClock
from pvtt_flow.video.container import OpenVideo

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.stream import VideoStream

# First bytes of headers, by codec.
_HEADERS = {"theora": (b"\x80theora", b"\x81theora", b"\x82theora"), "vp8": (b"OVP80",)}
# Those that a decoder takes: the size and the tables of the next frames.
_FOR_DECODER = (b"\x80theora", b"\x82theora")
_LONGEST = 7


def without_headers(
    opened: OpenVideo, packets: "Iterable[Packet[VideoStream]]", clock: FrameClock
) -> "Iterator[Packet[VideoStream]]":
    """Leave out headers that no decoder takes; `clock` lets each header last as long as a frame."""
    headers = _HEADERS.get(opened.stream.codec_context.name, ())
    for packet in packets:
        head = bytes(memoryview(packet)[:_LONGEST]) if headers and packet.size else b""
        if not head.startswith(headers):
            yield packet
            continue
        clock.skip(packet.duration or 0)
        if head in _FOR_DECODER:
            yield packet
