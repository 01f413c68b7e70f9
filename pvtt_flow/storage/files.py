"""Whole small files: reports, pictures, entries of a log."""

from pvtt_flow.errors import StoreError
from pvtt_flow.storage.patience import patiently
from pvtt_flow.storage.places import filesystem
from pvtt_flow.storage.trouble import explain
from pvtt_flow.storage.uris import local_path


def write_bytes(uri: str, data: bytes) -> None:
    """Write a whole file, local or in a bucket; raises StoreError naming the place."""
    try:
        patiently(lambda: _write(uri, data))
    except Exception as error:  # noqa: BLE001  the libraries behind fsspec raise what they like
        raise StoreError(f"expected to write a file, but {explain(error, uri)}") from None


def read_bytes(uri: str) -> bytes | None:
    """A whole file; None when there is none; raises StoreError when nobody can tell."""
    try:
        return patiently(lambda: _read(uri))
    except FileNotFoundError:
        return None
    except Exception as error:  # noqa: BLE001  see above
        raise StoreError(f"expected to read a file, but {explain(error, uri)}") from None


def _write(uri: str, data: bytes) -> None:
    files, path = filesystem(uri)
    if local_path(uri):
        files.makedirs(path.rpartition("/")[0], exist_ok=True)
    files.pipe_file(path, data)


def _read(uri: str) -> bytes:
    files, path = filesystem(uri)
    data: bytes = files.cat_file(path)
    return data
