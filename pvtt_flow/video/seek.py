"""Seek to a keyframe, and verify that decoding from it equals decoding from the start.

Containers may be wrong about keyframes and timestamps, so each is checked. Callers decode from the
start if a check fails.
"""

from collections.abc import Iterator
from itertools import chain

from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from pvtt_flow.core.timeline import to_ns, to_ticks
from pvtt_flow.video.clock import stored_ns
from pvtt_flow.video.container import FFMPEG_ERRORS, ErrorRecordingFile, OpenVideo, demux
from pvtt_flow.video.decode import DecodeError, decode_packets

# MP4 is sought by decoding time, so a seek can land on a keyframe that is presented too late.
_MAX_SEEKS = 3
# A movie has a handful of boxes; a file with more of them is not worth the walk.
_MAX_BOXES = 1000


class SeekNotExactError(Exception):
    """Frames after a seek may differ from those of a decode from the start."""


def frames_from_keyframe(opened: OpenVideo, pts_ns: int) -> Iterator[tuple[int, VideoFrame]]:
    """Seek to a keyframe before `pts_ns`; return (pts_ns, frame) from there, in order.

    A decoder that starts at a true keyframe gives what it gives on its way from the start. Checked:

    - The keyframe comes out first, at its packet's pts, and the decoder marks it as a keyframe. The
      leading frames of an open group of pictures are dropped, as they lack their references.
    - Timestamps ascend, so a time that is not unique is noticed; this decodes one frame ahead.

    The stream's decoder must be in use already. Raises SeekNotExactError before the first frame
    that fails a check, and DataError of kind `unreadable`.
    """
    try:
        keyframe, packets = _seek_to_keyframe(opened, pts_ns)
        yield from _checked_order(_drop_leading(decode_packets(opened, packets), keyframe))
    except DecodeError as error:
        raise SeekNotExactError(str(error)) from error


def keyframe_between(stream: VideoStream, after_ns: int, before_ns: int) -> bool:
    """Return whether the index lists a keyframe between these times, both excluded."""
    time_base, entries = stream.time_base, stream.index_entries
    if time_base is None:
        return False
    last = entries.search_timestamp(to_ticks(before_ns, time_base) - 1)
    return last >= 0 and to_ns(entries[last].timestamp, time_base) > after_ns


def timestamps_are_unique(opened: OpenVideo) -> bool:
    """Return whether the container guarantees that a timestamp occurs once.

    Two concatenated recordings decode as one video whose clock restarts, so a seek would find a
    frame of the first recording instead of the second. Accepted are MP4 and MOV without fragments,
    and Matroska that is not longer than its header declares.
    """
    name = opened.container.format.name
    if "matroska" in name:
        excess_bytes = opened.file.bytes_beyond_declared_size()
        return excess_bytes is not None and excess_bytes <= 0
    return "mp4" in name and not _may_be_fragmented(opened.file)


def _seek_to_keyframe(
    opened: OpenVideo, pts_ns: int
) -> "tuple[Packet[VideoStream], Iterator[Packet[VideoStream]]]":
    """Return the packet of a keyframe before `pts_ns`, and the packets from it on."""
    stream = opened.stream
    if stream.time_base is None:
        raise SeekNotExactError("the stream has no time base")
    target = to_ticks(pts_ns, stream.time_base) - 1
    for _ in range(_MAX_SEEKS):
        packets = _seek(opened, target)
        keyframe = next((packet for packet in packets if packet.is_keyframe), None)
        if keyframe is None or keyframe.pts is None:
            break
        if to_ns(keyframe.pts, stream.time_base) < pts_ns:
            return keyframe, chain([keyframe], packets)
        target = min(target, keyframe.pts if keyframe.dts is None else keyframe.dts) - 1
    raise SeekNotExactError(f"there is no keyframe before {pts_ns} ns")


def _seek(opened: OpenVideo, target: int) -> "Iterator[Packet[VideoStream]]":
    entries = opened.stream.index_entries
    first_pos = entries[0].pos if len(entries) else 0
    try:
        opened.container.seek(target, stream=opened.stream)
        # Where the clock restarts inside of a Matroska segment, the index sorts by time.
        positions = [entry.pos for entry in opened.stream.index_entries]
        if "matroska" in opened.container.format.name and (
            positions[:1] != [first_pos] or positions != sorted(positions)
        ):
            raise SeekNotExactError("the index is not in the order of the file")
        yield from demux(opened)
    except FFMPEG_ERRORS as error:
        opened.file.check_reads()
        raise SeekNotExactError(str(error)) from error


def _drop_leading(
    frames: Iterator[VideoFrame], keyframe: "Packet[VideoStream]"
) -> Iterator[tuple[int, VideoFrame]]:
    """Return (pts_ns, frame) from the keyframe on, without the leading frames before it."""
    keyframe_was_found = False
    for frame in frames:
        time_ns = stored_ns(frame)
        if time_ns is None or frame.pts is None or keyframe.pts is None:
            raise SeekNotExactError("a frame has no timestamp")
        if frame.pts < keyframe.pts:
            continue
        if not keyframe_was_found and (frame.pts != keyframe.pts or not frame.key_frame):
            raise SeekNotExactError("the packet is marked as a keyframe, but the frame is not")
        keyframe_was_found = True
        yield time_ns, frame


def _checked_order(frames: Iterator[tuple[int, VideoFrame]]) -> Iterator[tuple[int, VideoFrame]]:
    """Return each frame once the next one is known to be later."""
    previous: tuple[int, VideoFrame] | None = None
    for pts_ns, frame in frames:
        if previous is not None:
            if pts_ns <= previous[0]:
                raise SeekNotExactError(f"a frame at {pts_ns} ns follows one at {previous[0]} ns")
            yield previous
        previous = pts_ns, frame
    if previous is not None:
        yield previous


def _may_be_fragmented(file: ErrorRecordingFile) -> bool:
    """Return whether an MP4 file may have fragments, each of which has its own times."""
    box_at = 0
    for _ in range(_MAX_BOXES):
        head = file.read_at(box_at, 16)
        num_bytes, kind = int.from_bytes(head[:4], "big"), head[4:8]
        if num_bytes == 1:
            num_bytes = int.from_bytes(head[8:], "big")
        # A box of size 0 extends to the end of the file, and so does a damaged one.
        if kind == b"moof" or num_bytes < 8:
            return kind == b"moof"
        box_at += num_bytes
    return True
