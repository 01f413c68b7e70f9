"""Open one object for reading by ranges."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, cast

from pvtt_flow.errors import DataError, StoreError
from pvtt_flow.storage.filesystems import filesystem
from pvtt_flow.storage.frame_folders.folders import parse_frame_folder
from pvtt_flow.storage.frame_folders.stream import open_frames
from pvtt_flow.storage.retry import RetryingStream, with_retries
from pvtt_flow.storage.store_errors import describe, is_transient
from pvtt_flow.storage.uris import local_path

# A demuxer jumps between the index, audio and video: a few dozen recent blocks serve all of them
# at once. 1 MiB is about a second of 1080p H.264, and a request's latency is spent once for it.
BLOCK_BYTES = 1 << 20
NUM_BLOCKS = 32


@contextmanager
def open_binary(uri: str) -> Iterator[BinaryIO]:
    """A seekable stream that fetches only the blocks which are read; never the whole file.

    A folder of frames (`frames`) is read as one QuickTime file, of which whole pictures are
    fetched; it also raises what `open_frames` raises.

    Raises, here or from any read, DataError("unreadable") when the store does not give this
    object: it is missing, broken or not permitted; and StoreError when it gives nothing at all.
    """
    try:
        inner = with_retries(lambda: _open(uri))
    except Exception as error:  # noqa: BLE001  the libraries behind fsspec raise what they like
        raise _translated(error, uri) from None
    with inner:
        yield cast("BinaryIO", _Translated(inner, uri))


def _open(uri: str) -> Any:
    if frames := parse_frame_folder(uri):
        return open_frames(frames)
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


class _Translated(RetryingStream):
    """A stream whose errors are ours."""

    def __init__(self, inner: Any, uri: str) -> None:
        super().__init__(inner)
        self._uri = uri

    def readinto(self, buffer: Any, /) -> int:
        try:
            return super().readinto(buffer)
        except Exception as error:  # noqa: BLE001  see open_binary
            raise _translated(error, self._uri) from None


def _translated(error: Exception, uri: str) -> DataError | StoreError:
    """Whose fault it is: one object can be broken in a store that is well."""
    if isinstance(error, DataError):
        return error
    if is_transient(error) and not _answers(uri):
        return StoreError(f"$.input.uri: expected videos, but {describe(error, uri)}")
    return DataError("unreadable", describe(error, uri))


def _answers(uri: str) -> bool:
    """Whether the store says anything about the top of `uri`."""
    files, path = filesystem(uri)
    try:
        files.info(path.split("/")[0])
    except Exception as error:  # noqa: BLE001  see open_binary
        return not is_transient(error)
    return True
