"""Values that several test processes need, made by the first of them."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest
from filelock import FileLock

T = TypeVar("T")


def made_once(
    folders: pytest.TempPathFactory, worker_id: str, name: str, make: Callable[[Path], T]
) -> T:
    """Return what `make` returns for a new folder; the first worker of pytest-xdist calls it."""
    base = folders.getbasetemp()
    home = (base if worker_id == "master" else base.parent) / name
    made = home / "made.pickle"
    with FileLock(home.with_suffix(".lock")):
        if not made.exists():
            home.mkdir()
            made.write_bytes(pickle.dumps(make(home)))
    result: T = pickle.loads(made.read_bytes())  # noqa: S301 (our own)
    return result
