"""Folder, local or in a bucket, that is filled with whole files.

A file appears under its name when it is complete: on a disk by a rename, in a bucket by an upload.
"""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

from pvtt_flow.errors import StoreError
from pvtt_flow.storage.filesystems import filesystem
from pvtt_flow.storage.retry import with_retries
from pvtt_flow.storage.store_errors import describe
from pvtt_flow.storage.uris import local_path

_CHUNK_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class StoredFile:
    """File of a folder."""

    path: str
    """Relative to the folder, with `/`."""
    size_bytes: int
    sha256: str


class OutputFolder:
    """Folder to fill; `key` names the setting that it comes from, for messages."""

    def __init__(self, uri: str, key: str) -> None:
        self.uri = uri
        self._key = key

    def place(self, path: str) -> str:
        """Return the uri of a path in the folder."""
        return f"{self.uri}/{path}"

    @contextmanager
    def staged(self, work: str) -> Iterator[Path]:
        """Yield an empty local folder for files on their way here, and delete it afterwards.

        It is on the same disk as a local folder, in its folder `work`.
        """
        root = local_path(self.uri)
        parent = None if root is None else root / work
        if parent is not None:
            with self._explained(str(parent)):
                parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix="staged-", dir=parent))
        try:
            yield staging
        finally:
            shutil.rmtree(staging, ignore_errors=True)

    def publish(self, staging: Path) -> list[StoredFile]:
        """Move all files of a local folder to the same paths here; raises StoreError."""
        root = local_path(self.uri)
        stored: list[StoredFile] = []
        for source, _, names in os.walk(staging):
            home = Path(source).relative_to(staging)
            if names and root is not None:
                with self._explained(self.place(home.as_posix())):
                    (root / home).mkdir(parents=True, exist_ok=True)
            prefix = "" if source == str(staging) else f"{home.as_posix()}/"
            stored += (self._publish(f"{source}/{name}", prefix + name, root) for name in names)
        return sorted(stored, key=lambda file: file.path.split("/"))

    def is_empty(self) -> bool:
        """Return whether there is nothing in the folder; raises StoreError."""
        files, place = filesystem(self.uri)
        with self._explained(self.uri):
            try:
                return not with_retries(lambda: files.ls(place, detail=False))
            except FileNotFoundError:
                return True

    def names(self, path: str) -> list[str]:
        """Return the names of the files in a folder of this one; none if it does not exist."""
        files, place = filesystem(self.place(path))
        with self._explained(self.place(path)):
            try:
                listed = with_retries(lambda: files.ls(place, detail=False))
            except FileNotFoundError:
                return []
        return sorted(name.rstrip("/").rpartition("/")[2] for name in listed)

    def remove(self, path: str) -> None:
        """Delete a folder of this one; raises StoreError."""
        files, place = filesystem(self.place(path))
        with self._explained(self.place(path)), suppress(FileNotFoundError):
            with_retries(lambda: files.rm(place, recursive=True))

    def _publish(self, source: str, path: str, root: Path | None) -> StoredFile:
        # Plain text: for small files, to build `Path`s takes as long as to read and move them.
        stored = StoredFile(path, *_describe(source))
        with self._explained(self.place(path)):
            if root is not None:
                os.replace(source, f"{root}/{path}")  # noqa: PTH105
            else:
                files, place = filesystem(self.place(path))
                with_retries(lambda: files.put_file(source, place))
        return stored

    @contextmanager
    def _explained(self, uri: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            raise StoreError(
                f"{self._key}: files must be written, but {describe(error, uri)}"
            ) from error


def remove_old_files(uri: str, before: datetime, key: str, *, dry_run: bool) -> int:
    """Delete the files in a folder that were modified before an instant; return their number.

    A file that is gone by then is none of them. Raises StoreError, which names `key`.
    """
    files, place = filesystem(uri)
    num_old = 0
    try:
        for path in with_retries(lambda: files.find(place)):
            with suppress(FileNotFoundError):
                if with_retries(partial(files.modified, path)) < before:
                    num_old += 1
                    if not dry_run:
                        with_retries(partial(files.rm_file, path))
    except Exception as error:
        raise StoreError(f"{key}: files must be deleted, but {describe(error, uri)}") from error
    return num_old


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a local file in hex."""
    return _describe(path)[1]


def _describe(path: Path | str) -> tuple[int, str]:
    """Return the size of a local file in bytes, and its SHA-256 in hex."""
    digest, size_bytes = hashlib.sha256(), 0
    # Python's file objects take as long again for a small file.
    file = os.open(path, os.O_RDONLY)
    try:
        while chunk := os.read(file, _CHUNK_BYTES):
            digest.update(chunk)
            size_bytes += len(chunk)
    finally:
        os.close(file)
    return size_bytes, digest.hexdigest()
