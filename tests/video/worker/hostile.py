"""What jobs do in a decoder process that no video of ours can make FFmpeg do."""

import ctypes
import os
import time
from collections.abc import Generator
from itertools import islice
from typing import Any, BinaryIO

from pvtt_flow.errors import StoreError
from pvtt_flow.storage.retry import RETRIES
from pvtt_flow.types import Frame
from pvtt_flow.video.container import open_container
from pvtt_flow.video.limits import DEFAULT_LIMITS, Limits
from pvtt_flow.video.read import read_frames


def crash(file: BinaryIO, *args: Any, **kwargs: Any) -> Any:
    """In the place of any function that decodes."""
    ctypes.string_at(0)


def hang(file: BinaryIO, *args: Any, limits: Limits, **kwargs: Any) -> Any:
    """Likewise."""
    with open_container(file, limits):
        ctypes.CDLL(None).sleep(1000)


def crash_after(file: BinaryIO, num_frames: int) -> Generator[Frame]:
    """A segmentation fault."""
    yield from islice(read_frames(file), num_frames)
    ctypes.string_at(0)


def exit_at_once(file: BinaryIO) -> Generator[Frame]:
    os._exit(3)
    yield from read_frames(file)


def hang_after(
    file: BinaryIO, num_frames: int, *, limits: Limits, lock: bool = False
) -> Generator[Frame]:
    """Sleeps in C; with the interpreter's lock, no thread of Python runs meanwhile."""
    yield from islice(read_frames(file, limits=limits), num_frames)
    with open_container(file, limits):
        (ctypes.PyDLL if lock else ctypes.CDLL)(None).sleep(1000)


class _SlowFile:
    def __init__(self, file: BinaryIO, read_s: float) -> None:
        self._file = file
        self._read_s = read_s
        self.seek = file.seek
        self.tell = file.tell

    def read(self, num_bytes: int) -> bytes:
        time.sleep(self._read_s)
        return self._file.read(num_bytes)


def read_slowly(file: BinaryIO, read_s: float, *, limits: Limits) -> Generator[Frame]:
    """From a store that takes so long for each read."""
    yield from read_frames(_SlowFile(file, read_s), limits=limits)  # type: ignore[arg-type]


def take_memory(file: BinaryIO, num_bytes: int, *, limits: Limits = DEFAULT_LIMITS) -> int:
    with open_container(file, limits):
        return len(bytes(num_bytes))


def ask_again(file: BinaryIO, times: int) -> int:
    """As many requests that were made again."""
    RETRIES.add(times)
    return times


def lose_the_store(file: BinaryIO) -> None:
    RETRIES.add()
    raise StoreError("$.input.uri: it does not answer")


class OddError(Exception):
    """Pickles, and cannot be unpickled."""

    def __init__(self, one: int, other: int) -> None:
        super().__init__(f"{one} is not {other}")


def fail_oddly(file: BinaryIO) -> None:
    raise OddError(1, 2)


def divide_by_zero(file: BinaryIO) -> float:
    return 1 / 0


def tell_pid(file: BinaryIO) -> int:
    return os.getpid()
