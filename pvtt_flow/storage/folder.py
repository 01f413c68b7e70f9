"""Folder, local or in a bucket, that is filled with whole files.

A file appears under its name when it is complete: on a disk by a rename, in a bucket by an upload.
"""

import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from pvtt_flow.errors import StoreError
from pvtt_flow.storage.filesystems import filesystem
from pvtt_flow.storage.retry import with_retries
from pvtt_flow.storage.store_errors import describe
from pvtt_flow.storage.uris import local_path

_CHUNK_BYTES = 1 << 20


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
        paths = sorted(path for path in staging.rglob("*") if path.is_file())
        return [self._publish(path, path.relative_to(staging).as_posix()) for path in paths]

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

    def _publish(self, source: Path, path: str) -> StoredFile:
        stored = StoredFile(path, source.stat().st_size, sha256_of(source))
        target = local_path(self.place(path))
        with self._explained(self.place(path)):
            if target is not None:
                target.parent.mkdir(parents=True, exist_ok=True)
                source.replace(target)
            else:
                files, place = filesystem(self.place(path))
                with_retries(lambda: files.put_file(str(source), place))
        return stored

    @contextmanager
    def _explained(self, uri: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            raise StoreError(
                f"{self._key}: files must be written, but {describe(error, uri)}"
            ) from error


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a local file in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
