"""A small disk of its own, which can get full or be mounted for reading only."""

import errno
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

PAGE_BYTES = 4096


@dataclass(frozen=True)
class Disk:
    """A file system in memory, mounted at `path`."""

    path: Path

    def fill(self, *, pages_left: int = 0) -> None:
        """Leave room for so many pages; a file takes whole ones."""
        self.make_room()
        found = os.statvfs(self.path)
        wanted = found.f_bavail * found.f_frsize - pages_left * PAGE_BYTES
        try:
            self._filler.write_bytes(bytes(max(wanted, 0)))
        except OSError as error:
            # A run that wrote since the look above took a part of the room: the disk is full.
            if pages_left or error.errno != errno.ENOSPC:
                raise

    def make_room(self) -> None:
        """Remove what filled the disk."""
        self._filler.unlink(missing_ok=True)

    @contextmanager
    def read_only(self) -> Iterator[None]:
        """Make the folder read-only inside, for root too."""
        _mount("-o", "remount,ro", str(self.path)).check_returncode()
        yield
        _mount("-o", "remount,rw", str(self.path)).check_returncode()

    @property
    def _filler(self) -> Path:
        return self.path / "filler"


@contextmanager
def small_disk(path: Path, *, size_mib: int) -> Iterator[Disk]:
    """Mounted at a new folder; skips the test where that is not allowed."""
    path.mkdir()
    mounted = _mount("-t", "tmpfs", "-o", f"size={size_mib}m", "tmpfs", str(path))
    if mounted.returncode:
        pytest.skip(f"needs leave to mount a disk: {mounted.stderr.strip()}")
    try:
        yield Disk(path)
    finally:
        # Lazily, because a reader may still be about to close its files.
        subprocess.run(["umount", "--lazy", str(path)], check=True)


def _mount(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
