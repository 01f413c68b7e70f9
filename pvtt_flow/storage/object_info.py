"""Metadata of one object: uri, etag and size."""

import errno
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG
from typing import Any

from pvtt_flow.storage.uris import uri_of

# Errors that are about one name, such as a link to itself. Others are about the disk.
_OF_ONE_NAME = frozenset(
    (errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENAMETOOLONG,
     errno.EINVAL, errno.EILSEQ, errno.ENXIO, errno.ENODEV)
)  # fmt: skip


SIZE_ONLY = "None"
"""Start of an etag that says nothing but the size."""


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """Metadata of an object in a store, as a listing returns it.

    An object that is missing or not permitted has an empty etag and size 0.
    """

    uri: str
    etag: str
    size_bytes: int


def local(path: Path) -> ObjectInfo:
    """Return a file's metadata; its etag is its modification time and size, which costs no read.

    Raises OSError if the disk fails.
    """
    uri = uri_of(path)
    try:
        stat = path.stat()
    except OSError as error:
        if not is_of_one_name(error):
            raise
        return ObjectInfo(uri, "", 0)
    if not S_ISREG(stat.st_mode):
        return ObjectInfo(uri, "", 0)
    return ObjectInfo(uri, f"{stat.st_mtime_ns}-{stat.st_size}", stat.st_size)


def is_of_one_name(error: Exception) -> bool:
    """Return whether a file or folder cannot be used, while others on the same disk can."""
    return isinstance(error, OSError) and error.errno in _OF_ONE_NAME


def remote(uri: str, info: dict[str, Any]) -> ObjectInfo:
    """Return the metadata in an fsspec `info`; a store without ETags gets time and size.

    Without a time, the etag starts with `SIZE_ONLY`.
    """
    etag = info.get("ETag") or info.get("etag")
    size_bytes = int(info["size"] or 0)
    # Keys of s3fs, of HTTP headers, and of other filesystems.
    keys = ("LastModified", "Last-Modified", "mtime", "created")
    modified = next((info[key] for key in keys if info.get(key)), SIZE_ONLY)
    text = str(etag).strip('"') if etag else f"{modified}-{size_bytes}"
    # Headers of HTTP may be bytes of any encoding, and tables hold text.
    return ObjectInfo(uri, text.encode(errors="backslashreplace").decode(), size_bytes)
