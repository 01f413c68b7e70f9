"""Places as Arrow sees them: for scans, which read ranges and know which."""

from typing import Any

import pyarrow as pa
from pyarrow import fs

from pvtt_flow.storage.filesystems import filesystem
from pvtt_flow.storage.retry import RetryingStream, with_retries
from pvtt_flow.storage.uris import local_path


def arrow_filesystem(uri: str) -> tuple[fs.FileSystem, str]:
    """The Arrow filesystem of a uri and the path in it; it can be pickled."""
    files, path = filesystem(uri)
    if local_path(uri):
        return fs.LocalFileSystem(), path
    return fs.PyFileSystem(_Ranges(files)), path


class _Ranges(fs.FSSpecHandler):  # type: ignore[misc]
    """Reads what Arrow asks for and no more: it knows better what to read ahead."""

    def open_input_file(self, path: str) -> Any:
        stream = with_retries(lambda: self.fs.open(path, mode="rb", cache_type="none"))
        return pa.PythonFile(RetryingStream(stream, owns=True), mode="r")
