"""Whole small files of a dataset: reports, pictures, entries of a log."""

from contextlib import suppress

from pvtt_flow.errors import StoreError
from pvtt_flow.storage.filesystems import filesystem
from pvtt_flow.storage.retry import with_retries
from pvtt_flow.storage.store_errors import describe
from pvtt_flow.storage.uris import local_path

KEY = "$.output.uri"


def write_bytes(uri: str, data: bytes) -> None:
    """Write a whole file, local or in a bucket; raises StoreError naming the place."""
    try:
        with_retries(lambda: _write(uri, data))
    except Exception as error:  # noqa: BLE001  the libraries behind fsspec raise what they like
        raise StoreError(f"{KEY}: expected to write a file, but {describe(error, uri)}") from None


def check_writable(uri: str) -> None:
    """Raise StoreError when nothing can be written in a folder, local or in a bucket."""
    probe = f"{_existing(uri)}/_pvtt_flow_writable"
    write_bytes(probe, b"A run has begun here.")
    # Whoever may write but not delete leaves this one small file, the same each time.
    with suppress(Exception):
        files, path = filesystem(probe)
        files.rm(path)


def _existing(uri: str) -> str:
    """The folder itself or, on a disk, the nearest one above it that is there."""
    path = local_path(uri)
    if path is None:
        return uri
    return str(next((folder for folder in (path, *path.parents) if folder.exists()), path))


def read_bytes(uri: str) -> bytes | None:
    """A whole file; None when there is none; raises StoreError when nobody can tell."""
    try:
        return with_retries(lambda: _read(uri))
    except FileNotFoundError:
        return None
    except Exception as error:  # noqa: BLE001  see above
        raise StoreError(f"{KEY}: expected to read a file, but {describe(error, uri)}") from None


def _write(uri: str, data: bytes) -> None:
    files, path = filesystem(uri)
    if not local_path(uri):
        files.pipe_file(path, data)
        return
    files.makedirs(path.rpartition("/")[0], exist_ok=True)
    try:
        files.pipe_file(path, data)
    except BaseException:
        # Buckets take objects whole or not at all; a disk that gets full keeps a part.
        with suppress(OSError):
            files.rm(path)
        raise


def _read(uri: str) -> bytes:
    files, path = filesystem(uri)
    data: bytes = files.cat_file(path)
    return data
