"""Arrow filesystems for scans of a dataset."""

from typing import Any

import pyarrow as pa
from pyarrow import fs

from pvtt_flow.storage.filesystems import filesystem
from pvtt_flow.storage.retry import RetryingStream, with_retries
from pvtt_flow.storage.uris import local_path


def arrow_filesystem(uri: str) -> tuple[fs.FileSystem, str]:
    """Return the Arrow filesystem of a uri and the path in it; the filesystem can be pickled."""
    files, path = filesystem(uri)
    if local_path(uri):
        return fs.LocalFileSystem(), path
    return fs.PyFileSystem(_RangeReader(files)), path


def uri_on(files: fs.FileSystem, path: str) -> str:
    """Return the uri of a path on a filesystem of `arrow_filesystem`."""
    if not isinstance(files, fs.PyFileSystem):
        return path
    uri: str = files.handler.fs.unstrip_protocol(path)
    return uri


class _RangeReader(fs.FSSpecHandler):  # type: ignore[misc]
    """Read exactly the ranges that Arrow requests: Arrow does its own read-ahead."""

    def open_input_file(self, path: str) -> Any:
        stream = with_retries(lambda: self.fs.open(path, mode="rb", cache_type="none"))
        return pa.PythonFile(RetryingStream(stream, owns=True), mode="r")
