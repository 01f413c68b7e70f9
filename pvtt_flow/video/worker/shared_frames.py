"""Frames in memory that a worker and its parent share: a buffer of a few slots, used in turn.

The memory is anonymous: it is freed with the last process that has it open, however that process
ends, and the size of /dev/shm (64 MB in most containers) does not limit it.
"""

import mmap
import os
import sys
import weakref
from collections import deque
from tempfile import TemporaryFile

import numpy as np
from numpy.typing import NDArray

# Half of the slots may be leased to the reader of frames; the others are for decoding ahead.
_MAX_SLOTS, _MIN_SLOTS = 6, 2
_MAX_BYTES = 64 << 20
# Few enough that with half of the slots in use there is still one to decode into.
_MIN_RELEASED_SLOTS = 2


def num_slots_for(slot_bytes: int) -> int:
    """Return the number of slots for frames of this size."""
    return min(_MAX_SLOTS, max(_MIN_SLOTS, _MAX_BYTES // slot_bytes))


def allocate_memory(num_bytes: int) -> int:
    """Return a file descriptor of anonymous memory; pages are zeroed, and allocated when used."""
    if sys.platform == "linux":
        fd = os.memfd_create("frames")
    else:
        with TemporaryFile() as file:
            fd = os.dup(file.fileno())
    os.ftruncate(fd, num_bytes)
    return fd


class FrameBuffer:
    """Mapping of the shared memory into one process."""

    def __init__(self, fd: int, num_slots: int, slot_bytes: int) -> None:
        """Map the memory at `fd`; the caller closes `fd`."""
        self.num_slots = num_slots
        self.slot_bytes = slot_bytes
        self._memory = mmap.mmap(fd, num_slots * slot_bytes)

    def slot(self, number: int, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        """Return a view of the slot in this shape; the view keeps the memory mapped."""
        return np.ndarray(shape, np.uint8, self._memory, number * self.slot_bytes)


class FrameLeases:
    """Slots of a buffer that the reader of frames still uses.

    At most half of the slots are leased, so that some are always free to decode into, however long
    a frame is kept; beyond that, frames are copied.
    """

    def __init__(self, buffer: FrameBuffer) -> None:
        """Start with no leases."""
        self._buffer = buffer
        self._num_leased = 0
        # Appended to wherever the last reference to a frame is dropped, in any thread.
        self._released: deque[int] = deque()

    def lease(self, number: int, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        """Return the frame in a slot as an array; the lease ends with the array's last view."""
        frame = self._buffer.slot(number, shape)
        if self._num_leased < self._buffer.num_slots // 2:
            weakref.finalize(frame, self._released.append, number).atexit = False
        else:
            frame = frame.copy()
            self._released.append(number)
        self._num_leased += 1
        return frame

    def take_released(self) -> tuple[int, ...]:
        """Return the slots released since the last call, or none while they are fewer than two."""
        if len(self._released) < min(_MIN_RELEASED_SLOTS, self._buffer.num_slots // 2):
            return ()
        numbers = tuple(self._released.popleft() for _ in range(len(self._released)))
        self._num_leased -= len(numbers)
        return numbers
