"""Open a file on a web server, by ranges or, where the server has none, as a local copy."""

import tempfile
from typing import IO, Any

from pvtt_flow.errors import DataError

# Larger files must come from a server that has ranges.
MAX_COPIED_BYTES = 50_000_000_000
_CHUNK_BYTES = 1 << 20


def open_web(files: Any, url: str, **cache: Any) -> Any:
    """Return a seekable stream; `cache` has fsspec's options for one that reads ranges.

    A server that does not say the size, ignores ranges or compresses its answers sends the whole
    file, which is copied to a temporary file. Raises DataError of kind `over_limit` for a file that
    is too large for that.
    """
    stream = files.open(url, "rb", **cache)
    if stream.size is not None and _has_ranges(stream):
        return stream
    stream.close()
    return _copy(files, url)


def _has_ranges(stream: Any) -> bool:
    """Return whether the server sends the second byte alone, if there is one."""
    if stream.size < 2:
        return True
    try:
        return len(stream._fetch_range(1, 2)) == 1
    except ValueError:  # of fsspec: the answer is not the range
        return False


def _copy(files: Any, url: str) -> IO[bytes]:
    copy = tempfile.TemporaryFile()  # noqa: SIM115 (the caller closes it)
    with files.open(url, "rb", block_size=0) as source:
        while chunk := source.read(_CHUNK_BYTES):
            copy.write(chunk)
            if copy.tell() > MAX_COPIED_BYTES:
                copy.close()
                raise DataError(
                    "over_limit",
                    f"a file on a web server without ranges must have at most {MAX_COPIED_BYTES} "
                    "bytes, got more; copy it to a server that has them",
                )
    copy.seek(0)
    return copy
