"""Open a file on a web server, by ranges or, where the server has none, as a local copy."""

import tempfile
from typing import IO, Any

from pvtt_flow.errors import DataError

_CHUNK_BYTES = 1 << 20


def open_web(files: Any, url: str, max_bytes: int, **cache: Any) -> Any:
    """Return a seekable stream; `cache` has fsspec's options for one that reads ranges.

    A server that does not say the size, ignores ranges or compresses its answers sends the whole
    file, which is copied to a temporary file. Raises DataError of kind `over_limit` for a copy of
    more than `max_bytes`.
    """
    stream = files.open(url, "rb", **cache)
    if stream.size is not None and _has_ranges(stream):
        return stream
    stream.close()
    return _copy(files, url, max_bytes)


def _has_ranges(stream: Any) -> bool:
    """Return whether the server sends the second byte alone, if there is one."""
    if stream.size < 2:
        return True
    try:
        return len(stream._fetch_range(1, 2)) == 1
    except ValueError:  # of fsspec: the answer is not the range
        return False


def _copy(files: Any, url: str, max_bytes: int) -> IO[bytes]:
    copy = tempfile.TemporaryFile()  # noqa: SIM115 (the caller closes it)
    with files.open(url, "rb", block_size=0) as source:
        while chunk := source.read(_CHUNK_BYTES):
            if copy.tell() + len(chunk) > max_bytes:
                rule = f"have at most {max_bytes} bytes (max_bytes)"
                raise _refused(rule, "more", "raise the limit")
            try:
                copy.write(chunk)
                copy.flush()
            except OSError as error:
                rule, got = f"fit into {tempfile.gettempdir()}", str(error.strerror)
                raise _refused(rule, got, "set TMPDIR to a larger folder") from error
    copy.seek(0)
    return copy


def _refused(rule: str, got: str, remedy: str) -> DataError:
    return DataError(
        "over_limit",
        f"a file on a web server without ranges must {rule}, since all of it is copied, got {got}; "
        f"{remedy}, or put the file on a server that has ranges",
    )
