"""Pictures after a seek, and the proof that they are those of a decode from the start.

From a keyframe on, a decoder gives what it would have given on its way from the start, if the
keyframe is one. Containers lie about that, and about times, so nothing is taken on trust:

- The keyframe is shown first, at its packet's own time, and the decoder calls it one too. What an
  open group of pictures shows before it builds upon what was not decoded, and is left out.
- It is earlier than what is looked for, and every picture is later than the one before it: a time
  that comes twice is met twice, and noticed.
"""

from collections.abc import Iterator
from itertools import chain

from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from pvtt_flow.core.timeline import to_ns, to_ticks
from pvtt_flow.video.container import FFMPEG_ERRORS, OpenVideo
from pvtt_flow.video.packet_decoder import DamageError, decode_packets

# A seek goes by decoding times in MP4, so it can land on a keyframe that is shown too late.
_MAX_SEEKS = 3


class SeekNotExactError(Exception):
    """What was found after a seek need not be what a decode from the start would give."""


def keyframe_between(stream: VideoStream, after_ns: int, before_ns: int) -> bool:
    """Whether the index knows a keyframe between these times, both excluded."""
    time_base, entries = stream.time_base, stream.index_entries
    if time_base is None:
        return False
    last = entries.search_timestamp(to_ticks(before_ns, time_base) - 1)
    return last >= 0 and to_ns(entries[last].timestamp, time_base) > after_ns


def frames_from_keyframe(opened: OpenVideo, pts_ns: int) -> Iterator[tuple[int, VideoFrame]]:
    """Time and picture, in order, from a keyframe before `pts_ns` on; decodes one ahead.

    The stream's decoder must be in use already. Raises UntrustedError when something is not as it
    must be, before the first picture that is in doubt, and DataError of kind `unreadable`.
    """
    try:
        keyframe, packets = _landed(opened, pts_ns)
        yield from _in_order(_from_keyframe(decode_packets(opened, packets), keyframe))
    except DamageError as damage:
        raise SeekNotExactError(str(damage)) from damage


def _landed(
    opened: OpenVideo, pts_ns: int
) -> "tuple[Packet[VideoStream], Iterator[Packet[VideoStream]]]":
    """A keyframe that is shown before `pts_ns`, and all packets from it on."""
    stream = opened.stream
    if stream.time_base is None:
        raise SeekNotExactError("the stream has no clock")
    target = to_ticks(pts_ns, stream.time_base) - 1
    for _ in range(_MAX_SEEKS):
        packets = _sought(opened, target)
        keyframe = next((packet for packet in packets if packet.is_keyframe), None)
        if keyframe is None or keyframe.pts is None:
            break
        if to_ns(keyframe.pts, stream.time_base) < pts_ns:
            return keyframe, chain([keyframe], packets)
        target = min(target, keyframe.pts if keyframe.dts is None else keyframe.dts) - 1
    raise SeekNotExactError(f"there is no keyframe before {pts_ns} ns")


def _sought(opened: OpenVideo, target: int) -> "Iterator[Packet[VideoStream]]":
    try:
        opened.container.seek(target, stream=opened.stream)
        yield from opened.container.demux(opened.stream)
    except FFMPEG_ERRORS as error:
        opened.file.check()
        raise SeekNotExactError(str(error)) from error


def _from_keyframe(
    pictures: Iterator[VideoFrame], keyframe: "Packet[VideoStream]"
) -> Iterator[tuple[int, VideoFrame]]:
    """The pictures from the keyframe on, with their times."""
    found = False
    for picture in pictures:
        if picture.pts is None or keyframe.pts is None:
            raise SeekNotExactError("a picture has no time")
        if picture.pts < keyframe.pts:
            continue
        if not found and (picture.pts != keyframe.pts or not picture.key_frame):
            raise SeekNotExactError("the keyframe is none")
        found = True
        yield to_ns(picture.pts, keyframe.time_base), picture


def _in_order(pictures: Iterator[tuple[int, VideoFrame]]) -> Iterator[tuple[int, VideoFrame]]:
    """Each picture once the one after it is known to be later."""
    held: tuple[int, VideoFrame] | None = None
    for pts_ns, picture in pictures:
        if held is not None:
            if pts_ns <= held[0]:
                raise SeekNotExactError(f"a picture at {pts_ns} ns follows one at {held[0]} ns")
            yield held
        held = pts_ns, picture
    if held is not None:
        yield held
