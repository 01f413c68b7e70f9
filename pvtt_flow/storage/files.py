"""Read and write small files as a whole: reports, pictures, entries of a Delta log."""

from contextlib import suppress

from pvtt_flow.errors import StoreError
from pvtt_flow.storage.filesystems import filesystem, refusal
from pvtt_flow.storage.retry import with_retries
from pvtt_flow.storage.store_errors import describe
from pvtt_flow.storage.uris import local_path

KEY = "$.output.uri"


def write_bytes(uri: str, data: bytes) -> None:
    """Write a whole file, local or in a bucket; raises StoreError."""
    try:
        with_retries(lambda: _write(uri, data))
    except Exception as error:  # noqa: BLE001  fsspec's implementations raise errors of any class
        raise StoreError(f"{KEY}: a file must be written, but {describe(error, uri)}") from None


def check_writable(uri: str, key: str = KEY) -> None:
    """Raise the `refusal` if nothing can be written in a folder, local or in a bucket.

    `key` names the setting that the folder comes from, for errors.
    """
    probe = f"{_existing_folder(uri)}/_pvtt_flow_writable"
    try:
        with_retries(lambda: _write(probe, b"A run started here."))
    except Exception as error:  # noqa: BLE001  see write_bytes
        raise refusal(f"{key}: a file must be written, but ", error, probe) from None
    # With permission to write but not to delete, one small file stays, with the same name each
    # time.
    with suppress(Exception):
        files, path = filesystem(probe)
        files.rm(path)


def _existing_folder(uri: str) -> str:
    """Return the folder, or on a disk its nearest parent that exists."""
    path = local_path(uri)
    if path is None:
        return uri
    return str(next((folder for folder in (path, *path.parents) if folder.exists()), path))


def read_bytes(uri: str, key: str = KEY) -> bytes | None:
    """Read a whole file; return None if it does not exist. Raises StoreError, which names `key`."""
    try:
        return with_retries(lambda: _read(uri))
    except FileNotFoundError:
        return None
    except Exception as error:  # noqa: BLE001  see write_bytes
        raise StoreError(f"{key}: a file must be read, but {describe(error, uri)}") from None


def _write(uri: str, data: bytes) -> None:
    files, path = filesystem(uri)
    if not local_path(uri):
        files.pipe_file(path, data)
        return
    files.makedirs(path.rpartition("/")[0], exist_ok=True)
    try:
        files.pipe_file(path, data)
    except BaseException:
        # Buckets store a whole object or nothing; a disk that becomes full keeps a part.
        with suppress(OSError):
            files.rm(path)
        raise


def _read(uri: str) -> bytes:
    files, path = filesystem(uri)
    data: bytes = files.cat_file(path)
    return data
