"""Files that exist only as streams, and the pictures that such a file may consist of."""

import io
from abc import abstractmethod
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, Literal, NamedTuple, TypeAlias

Buffer: TypeAlias = bytes | memoryview


class PictureSequence(NamedTuple):
    """Still pictures, one after the other in one stream, that are the frames of a video."""

    coding: Literal["jpeg", "png"]
    sizes_bytes: Sequence[int]
    """Size of each picture, at least 1."""
    rate: Fraction
    """Frames per second."""


class VirtualFile(io.RawIOBase):
    """File of a known size whose bytes are made as they are read.

    Like any raw file it may return less than was asked for. A read that fails does not move the
    position.
    """

    def __init__(self, num_bytes: int) -> None:
        """Start at position 0 of a file of `num_bytes`."""
        self._num_bytes = num_bytes
        self._position = 0

    @abstractmethod
    def _bytes_at(self, position: int, num_bytes: int) -> Buffer:
        """Return bytes from a position inside the file; none where the file is truncated."""

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position, in bytes."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Move to a position and return it, in bytes."""
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._num_bytes}
        self._position = max(0, origin[whence] + offset)
        return self._position

    def readinto(self, buffer: Any, /) -> int:
        """Fill the buffer as far as there is data; return the number of bytes, 0 at the end."""
        view = memoryview(buffer).cast("B")
        if self._position >= self._num_bytes:
            return 0
        data = memoryview(self._bytes_at(self._position, len(view)))[: len(view)]
        view[: len(data)] = data
        self._position += len(data)
        return len(data)
