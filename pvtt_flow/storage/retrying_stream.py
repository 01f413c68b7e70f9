"""A stream whose reads are tried again."""

import io
from typing import Any

from pvtt_flow.storage.retry import patiently


class PatientStream(io.RawIOBase):
    """Reads another stream, which must not move when a read fails; closes it only if it owns it."""

    def __init__(self, inner: Any, *, owns: bool = False) -> None:
        self._inner = inner
        self._owns = owns

    def readable(self) -> bool:
        """It can."""
        return True

    def seekable(self) -> bool:
        """It can be."""
        return True

    def tell(self) -> int:
        """The position, in bytes."""
        return int(self._inner.tell())

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Move to a position and return it."""
        return int(self._inner.seek(offset, whence))

    def readinto(self, buffer: Any, /) -> int:
        """Fill as much of the buffer as there is; the number of bytes."""
        view = memoryview(buffer).cast("B")
        data = patiently(lambda: self._inner.read(len(view)))
        view[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """Close the other stream too, when it is owned."""
        if self._owns and not self.closed:
            self._inner.close()
        super().close()
