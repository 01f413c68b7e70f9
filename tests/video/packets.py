"""Packets of video files, and their positions and times."""

from fractions import Fraction
from pathlib import Path

import av
from av.packet import Packet
from av.video.stream import VideoStream


def video_packets(path: Path) -> "list[Packet[VideoStream]]":
    """Return the packets of the first video stream that have data, in decoding order."""
    with av.open(path) as container:
        return [packet for packet in container.demux(video=0) if packet.size]


def position_of(packet: "Packet[VideoStream]") -> int:
    """Return the byte at which the packet's data starts in the file."""
    assert packet.pos is not None
    return packet.pos


def seconds_of(timed: "Packet[VideoStream] | av.VideoFrame") -> Fraction:
    """Return the presentation time of a packet or frame in seconds."""
    assert timed.pts is not None
    assert timed.time_base is not None
    return timed.pts * timed.time_base
