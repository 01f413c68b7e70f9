"""Functions for a worker process that crash, hang or fail as FFmpeg may on some video."""

import ctypes
import os
import time
from collections.abc import Generator
from itertools import islice
from typing import Any, BinaryIO, cast

from pvtt_flow.errors import StoreError
from pvtt_flow.types import Frame
from pvtt_flow.video.container import open_container
from pvtt_flow.video.limits import DEFAULT_LIMITS, NO_TIMER, FrameTimer, Limits
from pvtt_flow.video.read import read_frames

# Longer than any test.
HANG_S = 1000


def crash(file: BinaryIO, *args: Any, **kwargs: Any) -> Any:
    """Crash instead of any function that decodes."""
    ctypes.string_at(0)


def hang(
    file: BinaryIO, *args: Any, limits: Limits, timer: FrameTimer = NO_TIMER, **kwargs: Any
) -> Any:
    """Hang in C instead of any function that decodes."""
    with open_container(file, limits, timer):
        ctypes.CDLL(None).sleep(HANG_S)


def crash_after(
    file: BinaryIO, num_frames: int, *, timer: FrameTimer = NO_TIMER
) -> Generator[Frame]:
    """Cause a segmentation fault after some frames."""
    yield from islice(read_frames(file, timer=timer), num_frames)
    ctypes.string_at(0)


def exit_at_once(file: BinaryIO, *, timer: FrameTimer = NO_TIMER) -> Generator[Frame]:
    """End the process before the first frame."""
    yield from map(os._exit, (3,))


def hang_after(
    file: BinaryIO,
    num_frames: int,
    *,
    limits: Limits,
    timer: FrameTimer = NO_TIMER,
    lock: bool = False,
) -> Generator[Frame]:
    """Sleep in C after some frames; with `lock`, no Python thread can run meanwhile."""
    yield from islice(read_frames(file, limits=limits, timer=timer), num_frames)
    with open_container(file, limits, timer):
        (ctypes.PyDLL if lock else ctypes.CDLL)(None).sleep(HANG_S)


class _SlowFile:
    def __init__(self, file: BinaryIO, read_s: float) -> None:
        self._file = file
        self._read_s = read_s
        self.seek = file.seek
        self.tell = file.tell

    def read(self, num_bytes: int) -> bytes:
        time.sleep(self._read_s)
        return self._file.read(num_bytes)


def read_slowly(
    file: BinaryIO, read_s: float, *, limits: Limits, timer: FrameTimer = NO_TIMER
) -> Generator[Frame]:
    """Read frames from a store that takes `read_s` seconds for each read."""
    # PyAV calls only read, seek and tell.
    slow_file = cast(BinaryIO, _SlowFile(file, read_s))
    yield from read_frames(slow_file, limits=limits, timer=timer)


def take_memory(
    file: BinaryIO, num_bytes: int, *, limits: Limits = DEFAULT_LIMITS, timer: FrameTimer = NO_TIMER
) -> int:
    """Allocate `num_bytes` with the container open."""
    with open_container(file, limits, timer):
        return len(bytes(num_bytes))


def lose_store(file: BinaryIO, *, timer: FrameTimer = NO_TIMER) -> None:
    """Fail as if the store did not answer."""
    raise StoreError("$.input.uri: it does not answer")


class OddError(Exception):
    """Error that pickles but cannot be unpickled."""

    def __init__(self, first: int, second: int) -> None:
        super().__init__(f"{first} is not {second}")


def raise_odd_error(file: BinaryIO, *, timer: FrameTimer = NO_TIMER) -> None:
    raise OddError(1, 2)


def divide_by_zero(file: BinaryIO, *, timer: FrameTimer = NO_TIMER) -> float:
    return 1 / 0


def get_pid(file: BinaryIO, *, timer: FrameTimer = NO_TIMER) -> int:
    return os.getpid()
