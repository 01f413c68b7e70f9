"""An object in a store, as a listing tells of it."""

from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG
from typing import Any


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """An object in a store. One that cannot be seen has no etag, and no size."""

    uri: str
    etag: str
    size_bytes: int


def local(path: Path) -> ObjectInfo:
    """A file's etag is its modification time and size: cheap, and good as long as clocks are."""
    try:
        stat = path.stat()
    except (FileNotFoundError, PermissionError):
        return ObjectInfo(str(path), "", 0)
    if not S_ISREG(stat.st_mode):
        return ObjectInfo(str(path), "", 0)
    return ObjectInfo(str(path), f"{stat.st_mtime_ns}-{stat.st_size}", stat.st_size)


def remote(uri: str, info: dict[str, Any]) -> ObjectInfo:
    """The store's own ETag; stores without one get time and size."""
    etag = info.get("ETag") or info.get("etag")
    size = int(info["size"] or 0)
    when = info.get("LastModified") or info.get("mtime") or info.get("created")
    return ObjectInfo(uri, str(etag).strip('"') if etag else f"{when}-{size}", size)
