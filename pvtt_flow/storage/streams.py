"""Open one object and read it by ranges."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, BinaryIO, cast

from pvtt_flow.core.virtual_file import PictureSequence
from pvtt_flow.errors import DataError, StoreError
from pvtt_flow.storage.filesystems import filesystem
from pvtt_flow.storage.frame_folders.folders import parse_frame_folder
from pvtt_flow.storage.frame_folders.stream import open_frames
from pvtt_flow.storage.retry import RetryingStream, with_retries
from pvtt_flow.storage.store_errors import describe, is_transient
from pvtt_flow.storage.uris import HTTP, local_path
from pvtt_flow.storage.web import open_web

# A demuxer jumps between index, audio and video: a few dozen recent blocks cover all of them.
# 1 MiB is about a second of 1080p H.264, for the latency of one request.
BLOCK_BYTES = 1 << 20
NUM_BLOCKS = 32
# For callers without a limit of their own; files are copied only from web servers without ranges.
MAX_COPIED_BYTES = 50_000_000_000


@contextmanager
def open_binary(
    uri: str, *, max_bytes: int = MAX_COPIED_BYTES, anonymous: bool = False
) -> Iterator[BinaryIO]:
    """Open a seekable stream that fetches only the blocks that are read, never the whole file.

    Only from a web server that cannot send blocks, the whole file is copied to a disk; DataError of
    kind `over_limit` if it has more than `max_bytes`. `anonymous` reads a public bucket without
    credentials.

    A folder of frames is read as one file of pictures, whose attribute `pictures` describes them;
    opening it also raises the errors of `open_frames`.

    Raises, here or from any read, DataError("unreadable") if this object is missing, broken or not
    permitted, and StoreError if its store does not answer at all.
    """
    try:
        inner = with_retries(lambda: _open(uri, max_bytes, anonymous=anonymous))
    except Exception as error:  # noqa: BLE001  fsspec's implementations raise errors of any class
        raise _translate(error, uri) from None
    with inner:
        yield cast("BinaryIO", _TranslatingStream(inner, uri))


def _open(uri: str, max_bytes: int, *, anonymous: bool) -> Any:
    if frames := parse_frame_folder(uri):
        return open_frames(frames, anonymous=anonymous)
    path = local_path(uri)
    if path is not None:
        if path.exists() and not path.is_file():  # opening a pipe would block
            raise OSError(errno.EINVAL, "not a regular file")
        return path.open("rb")
    files, remote = filesystem(uri, anonymous=anonymous)
    is_web = uri.startswith(HTTP)
    open_file = partial(open_web, files, max_bytes=max_bytes) if is_web else files.open
    return open_file(
        remote,
        block_size=BLOCK_BYTES,
        cache_type="blockcache",
        cache_options={"maxblocks": NUM_BLOCKS},
    )


class _TranslatingStream(RetryingStream):
    """Stream that raises DataError and StoreError instead of foreign errors."""

    def __init__(self, inner: Any, uri: str) -> None:
        super().__init__(inner)
        self._uri = uri
        self.pictures: PictureSequence | None = getattr(inner, "pictures", None)
        """Pictures of a folder of frames, None for a file."""

    def readinto(self, buffer: Any, /) -> int:
        try:
            return super().readinto(buffer)
        except Exception as error:  # noqa: BLE001  see open_binary
            raise _translate(error, self._uri) from None


def _translate(error: Exception, uri: str) -> DataError | StoreError:
    """Return a DataError if only this object is broken, and a StoreError if its store is down."""
    if isinstance(error, DataError):
        return error
    if is_transient(error) and not _store_answers(uri):
        return StoreError(f"$.input.uri: {describe(error, uri)}")
    return DataError("unreadable", describe(error, uri))


def _store_answers(uri: str) -> bool:
    """Return whether the store answers a request for the bucket or top folder of `uri`."""
    files, path = filesystem(uri)
    try:
        files.info(path.split("/")[0])
    except Exception as error:  # noqa: BLE001  see open_binary
        return not is_transient(error)
    return True
