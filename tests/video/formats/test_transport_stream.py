import io
import random
from pathlib import Path

import pytest

from pvtt_flow.video.container import ErrorRecordingFile
from pvtt_flow.video.formats.transport_stream import has_only_joins
from pvtt_flow.video.limits import NO_TIMER
from tests.video.ffmpeg_files import H264, write_joined
from tests.video.frame_hash import decoded_hashes

PID, STARTS_FRAME, RANDOM_ACCESS, ERROR = 0x100, 0x40, 0x40, 0x80


def packet(pid: int, counter: int, flags: int = 0, adaptation: int | None = None) -> bytes:
    control = 0x10 if adaptation is None else 0x30
    head = bytes((0x47, flags | pid >> 8, pid & 0xFF, control | counter % 16))
    return (head + bytes((1, adaptation or 0))).ljust(188, b"\xff")


def table(counter: int) -> bytes:
    return packet(0, counter, STARTS_FRAME)


def is_join(*packets: bytes, prefix: int = 0, suffix: int = 0) -> bool:
    data = b"".join(bytes(prefix) + one + bytes(suffix) for one in packets)
    file = ErrorRecordingFile(io.BytesIO(data), NO_TIMER)
    return has_only_joins(file, 0, len(data) - 188 - prefix - suffix, PID)


FRAME = [table(3), *(packet(PID, counter, STARTS_FRAME) for counter in (7, 8))]


@pytest.mark.parametrize(("prefix", "suffix"), [(0, 0), (4, 0), (0, 16)])
def test_a_restart_of_all_counters_is_a_join(prefix: int, suffix: int) -> None:
    appended = [table(0), packet(PID, 0, STARTS_FRAME), packet(PID, 1)]
    assert is_join(*FRAME, *appended, prefix=prefix, suffix=suffix)


def test_a_keyframe_after_a_table_that_breaks_is_a_join() -> None:
    keyframe = packet(PID, 2, STARTS_FRAME, RANDOM_ACCESS)
    assert is_join(*FRAME, table(9), keyframe)
    assert not is_join(*FRAME, table(4), keyframe)
    assert not is_join(*FRAME, table(9), packet(PID, 2, STARTS_FRAME))


@pytest.mark.parametrize(
    "packets",
    [
        [packet(PID, 9)],
        [packet(PID, 0, STARTS_FRAME)],
        [table(4), packet(PID, 0, STARTS_FRAME)],
        [table(0), packet(PID, 0)],
        [table(0), packet(PID, 0, STARTS_FRAME | ERROR)],
        [table(0), packet(PID, 0, STARTS_FRAME), packet(PID, 2)],
    ],
    ids=["no break", "no table", "table goes on", "within a frame", "error", "a loss after it"],
)
def test_everything_else_is_none(packets: list[bytes]) -> None:
    assert not is_join(*FRAME, *packets)


def test_a_declared_discontinuity_is_no_break() -> None:
    assert not is_join(*FRAME, packet(PID, 3, STARTS_FRAME, 0x80))


@pytest.mark.parametrize("num_lost", [1, 2, 40])
def test_lost_packets_truncate_joined_files_too(tmp_path: Path, num_lost: int) -> None:
    path = write_joined(tmp_path / "joined.ts", *H264)
    data = path.read_bytes()
    good = decoded_hashes(path)
    assert good.truncated_at is None
    draw = random.Random(num_lost)
    num_silent = 0
    for _ in range(12):
        at = 188 * draw.randrange(len(data) // 188 // 4, len(data) // 188 - num_lost)
        path.write_bytes(data[:at] + data[at + 188 * num_lost :])
        found = decoded_hashes(path)
        if found.truncated_at is None:
            num_silent += found.frames != good.frames
        else:
            assert [f.md5 for f in found.frames] == [
                f.md5 for f in good.frames[: len(found.frames)]
            ]
    assert num_silent <= 1
