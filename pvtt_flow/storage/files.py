"""Small files beside the tables: reports, pictures."""

from pvtt_flow.errors import PreflightError
from pvtt_flow.storage.places import explain, filesystem, local_path


def write_bytes(uri: str, data: bytes) -> None:
    """Write a whole file, local or in a bucket; raises PreflightError naming the place."""
    try:
        files, path = filesystem(uri)
        if local_path(uri):
            files.makedirs(path.rpartition("/")[0], exist_ok=True)
        files.pipe_file(path, data)
    except Exception as error:  # noqa: BLE001  the libraries behind fsspec raise what they like
        raise PreflightError(f"expected to write a file, but {explain(error, uri)}") from None
