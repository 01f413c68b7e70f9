"""Open one object for reading by ranges."""

import errno
import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, cast

from pvtt_flow.errors import DataError
from pvtt_flow.storage.places import explain, filesystem, local_path

# A demuxer jumps between the index, audio and video: a few dozen recent blocks serve all of them
# at once. 1 MiB is about a second of 1080p H.264, and a request's latency is spent once for it.
BLOCK_BYTES = 1 << 20
NUM_BLOCKS = 32


@contextmanager
def open_binary(uri: str) -> Iterator[BinaryIO]:
    """A seekable stream that fetches only the blocks which are read; never the whole file.

    Raises DataError("unreadable") here or from any read when storage gives no bytes: a missing
    object, no permission, no network.
    """
    try:
        inner = _open(uri)
    except Exception as error:  # noqa: BLE001  the libraries behind fsspec raise what they like
        raise DataError("unreadable", explain(error, uri)) from None
    with inner:
        yield cast("BinaryIO", _Translated(inner, uri))


def _open(uri: str) -> Any:
    path = local_path(uri)
    if path is not None:
        if path.exists() and not path.is_file():  # opening a pipe would wait for ever
            raise OSError(errno.EINVAL, "not a regular file")
        return path.open("rb")
    files, remote = filesystem(uri)
    return files.open(
        remote,
        "rb",
        block_size=BLOCK_BYTES,
        cache_type="blockcache",
        cache_options={"maxblocks": NUM_BLOCKS},
    )


class _Translated(io.RawIOBase):
    """A stream whose errors are ours; it does not own the stream inside."""

    def __init__(self, inner: Any, uri: str) -> None:
        self._inner = inner
        self._uri = uri

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return int(self._inner.tell())

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        return int(self._inner.seek(offset, whence))

    def readinto(self, buffer: Any, /) -> int:
        view = memoryview(buffer).cast("B")
        try:
            data = self._inner.read(len(view))
        except Exception as error:  # noqa: BLE001  see open_binary
            raise DataError("unreadable", explain(error, self._uri)) from None
        view[: len(data)] = data
        return len(data)
