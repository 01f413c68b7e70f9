"""Tell a join of two MPEG transport streams from lost packets (ISO/IEC 13818-1, section 2.4.3).

FFmpeg marks a frame as corrupt if the continuity counter of its packets breaks. The counter also
breaks, with nothing lost, where files are concatenated: segments of HLS, parts of a recording.
"""

from collections.abc import Iterator

from pvtt_flow.video.container import ErrorRecordingFile

_SYNC = 0x47
_PAT_PID = 0
# Position of the first sync byte and distance of the next: plain, with time codes (M2TS), with
# error correction.
_LAYOUTS = ((0, 188), (4, 192), (0, 204))
_MAX_PACKET_BYTES = 204
# A multiple of all packet sizes. Before a frame that is marked, this much is read four times over,
# for the table before it: 0.2 s of a Blu-ray disc.
_ALIGNED_BYTES = 64 * 3 * 17 * 47
# A frame of 16 MiB is beyond every level of H.264 and HEVC.
_MAX_BYTES = 16 * 1024 * 1024
_DISCONTINUITY, _RANDOM_ACCESS = 0x80, 0x40


def has_only_joins(file: ErrorRecordingFile, first: int, last: int, pid: int) -> bool:
    """Return whether the continuity counter of `pid` breaks near here, and only at joins.

    `first` and `last` are the starts of packets, between which FFmpeg has seen a break. A file that
    was appended begins with a program association table and a new frame. Either all counters start
    again at 0, or the table's counter breaks as well and the frame is a keyframe.
    """
    start = first - min(4, first // _ALIGNED_BYTES) * _ALIGNED_BYTES
    num_bytes = last + _MAX_PACKET_BYTES - start
    if not 0 < num_bytes <= _MAX_BYTES:
        return False
    counter: int | None = None
    table: int | None = None
    num_joins, has_table, table_breaks = 0, False, False
    for packet in _packets(file.read_at(start, num_bytes)):
        before, current = counter, packet[3] & 0x0F
        if _pid(packet) == _PAT_PID:
            has_table, table_breaks = True, table is not None and current != (table + 1) & 0x0F
            table = current
        # Packets without a payload do not count.
        if _pid(packet) != pid or not packet[3] & 0x10:
            continue
        flags = _adaptation_flags(packet)
        if before is not None and current != (before + 1) & 0x0F and not flags & _DISCONTINUITY:
            restarts = current == 0 and table == 0
            is_join = restarts or (table_breaks and bool(flags & _RANDOM_ACCESS))
            if not (is_join and has_table and _starts_frame(packet)):
                return False
            num_joins += 1
        counter, has_table, table_breaks = current, False, False
    return num_joins > 0


def _pid(packet: bytes) -> int:
    return (packet[1] & 0x1F) << 8 | packet[2]


def _starts_frame(packet: bytes) -> bool:
    """Return whether a frame starts in this packet, which has no error that a receiver found."""
    return packet[1] & 0xC0 == 0x40


def _adaptation_flags(packet: bytes) -> int:
    """Return the flags of the packet's adaptation field, 0 if it has none."""
    return packet[5] if packet[3] & 0x20 and packet[4] else 0


def _packets(data: bytes) -> Iterator[bytes]:
    """Yield the first six bytes of each packet; end where the layout ends."""
    for first, step in _LAYOUTS:
        if data[first : first + step + 1 : step] == bytes((_SYNC, _SYNC)):
            break
    for at in range(first, len(data) - 5, step):
        if data[at] != _SYNC:
            return
        yield data[at : at + 6]
