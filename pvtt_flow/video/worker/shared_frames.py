"""Frames in memory that two processes share, in a few slots that are used in turn.

The memory has no name: it is gone with the last process that has it open, however that ends, and
the size of /dev/shm, 64 MB in most containers, is no bound.
"""

import mmap
import os
import sys
import weakref
from collections import deque
from tempfile import TemporaryFile

import numpy as np
from numpy.typing import NDArray

# Half of them may be in use by whoever takes frames, the others are for decoding ahead.
_MAX_SLOTS, _MIN_SLOTS = 6, 2
_MAX_BYTES = 64 << 20
# Few enough that with half of the slots in use there is still one to decode into.
_MIN_BACK = 2


def num_slots_for(slot_bytes: int) -> int:
    """Slots of a ring for frames of so many bytes."""
    return min(_MAX_SLOTS, max(_MIN_SLOTS, _MAX_BYTES // slot_bytes))


def new_memory(num_bytes: int) -> int:
    """A file descriptor of memory without a name; zeroed, and taken page by page as it is used."""
    if sys.platform == "linux":
        fd = os.memfd_create("frames")
    else:
        with TemporaryFile() as file:
            fd = os.dup(file.fileno())
    os.ftruncate(fd, num_bytes)
    return fd


class FrameBuffer:
    """One process's view of it."""

    def __init__(self, fd: int, num_slots: int, slot_bytes: int) -> None:
        """The memory at `fd`, which remains the caller's to close."""
        self.num_slots = num_slots
        self.slot_bytes = slot_bytes
        self._memory = mmap.mmap(fd, num_slots * slot_bytes)

    def slot(self, number: int, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        """The slot itself, as an array of this shape; keeps the memory alive."""
        return np.ndarray(shape, np.uint8, self._memory, number * self.slot_bytes)


class FrameLeases:
    """The slots of a ring that are in the hands of whoever takes frames.

    Few are lent, so that some are always left to decode into, however long a frame is kept; where
    too many are out already, a frame is copied.
    """

    def __init__(self, ring: FrameBuffer) -> None:
        self._ring = ring
        self._num_out = 0
        # Appended to wherever the last reference to a frame is dropped, in any thread.
        self._back: deque[int] = deque()

    def take(self, number: int, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        """The frame in a slot, as an array to keep as long as one likes."""
        lent = self._ring.slot(number, shape)
        if self._num_out < self._ring.num_slots // 2:
            weakref.finalize(lent, self._back.append, number).atexit = False
        else:
            lent = lent.copy()
            self._back.append(number)
        self._num_out += 1
        return lent

    def returned(self) -> tuple[int, ...]:
        """Slots that have come back since this last told of any; tells of several at a time."""
        if len(self._back) < min(_MIN_BACK, self._ring.num_slots // 2):
            return ()
        numbers = tuple(self._back.popleft() for _ in range(len(self._back)))
        self._num_out -= len(numbers)
        return numbers
