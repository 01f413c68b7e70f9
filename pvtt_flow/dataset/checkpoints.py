"""Checkpoints of the Delta logs: find those that do not say what the entries say.

A checkpoint is a Parquet file with all that the entries up to its version say; readers start from
the last one, which `_last_checkpoint` names. delta-rs writes them without checksums, so a flipped
bit often reads as another value.
"""

import json
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import pyarrow.parquet as pq
from deltalake import DeltaTable

from pvtt_flow.dataset.file_actions import files_of
from pvtt_flow.dataset.tables import LOG, MASKLETS, OLDEST
from pvtt_flow.storage.filesystems import filesystem
from pvtt_flow.storage.retry import with_retries

_HINT, _ENTRY, _CHECKPOINT = "_last_checkpoint", ".json", ".checkpoint.parquet"
_DELETE = f"delete it and {_HINT}, since the entries of the log say the same"
_COPY_BACK = "copy it back from a backup, since the entries before it are gone"


class DamagedCheckpoint(NamedTuple):
    """Checkpoint with other bytes than were written, or a hint that names none."""

    uri: str
    remedy: str


def damaged_checkpoints(uri: str, table: str) -> Iterator[DamagedCheckpoint]:
    """Yield the damaged checkpoints of a table whose entries are whole, oldest first.

    Each is compared with all entries before it. If old ones are gone, the oldest checkpoint must
    only be readable, and stands for them.
    """
    log = f"{uri}/{table}/{LOG}"
    files, folder = filesystem(log)
    paths = with_retries(partial(files.ls, folder, detail=False))
    names = sorted(str(path).rpartition("/")[2] for path in paths)
    checkpoints = [name for name in names if name.removesuffix(_CHECKPOINT).isdigit()]
    entries = [name for name in names if name.removesuffix(_ENTRY).isdigit()]
    has_all = [_version(name) for name in entries[:1]] == [0]

    def read(name: str) -> bytes:
        data: bytes = with_retries(partial(files.cat_file, f"{folder}/{name}"))
        return data

    if _HINT in names and not _is_hint(read(_HINT), checkpoints):
        yield DamagedCheckpoint(f"{log}/{_HINT}", "delete it, since Delta does without it")
    with TemporaryDirectory() as home:
        replayed = _LogCopy(Path(home, "replayed"))
        is_started = has_all
        for name in checkpoints:
            copy = _LogCopy(Path(home, name))
            copy.add(name, read(name))
            found = copy.state()
            before = [entry for entry in entries if _version(entry) <= _version(name)]
            entries = entries[len(before) :]
            if not is_started and found is not None:
                replayed, is_started = copy, True
                continue
            for entry in before:
                replayed.add(entry, read(entry))
            if found is None or found != replayed.state():
                yield DamagedCheckpoint(f"{log}/{name}", _DELETE if has_all else _COPY_BACK)


class _LogCopy:
    """Copy of some files of a log, as a log of its own on the disk."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        Path(folder, LOG).mkdir(parents=True)

    def add(self, name: str, data: bytes) -> None:
        """Add a file."""
        Path(self._folder, LOG, name).write_bytes(data)

    def state(self) -> list[object] | None:
        """Return what the log says about the table; None if it cannot be read."""
        try:
            for checkpoint in Path(self._folder, LOG).glob(f"*{_CHECKPOINT}"):
                pq.read_table(checkpoint)  # delta-rs reads only some columns
            table = DeltaTable(str(self._folder))
            return [
                files_of(table).sort_by("path").to_pylist(),
                table.schema().to_json(),
                table.protocol(),
                table.metadata().partition_columns,
                table.metadata().configuration,
                [table.transaction_version(name) for name in (MASKLETS, OLDEST)],
            ]
        except BaseException as error:
            # A panic of Rust is no Exception.
            if isinstance(error, Exception) or type(error).__name__ == "PanicException":
                return None
            raise


def _version(name: str) -> int:
    return int(name.partition(".")[0])


def _is_hint(data: bytes, checkpoints: Sequence[str]) -> bool:
    """Return whether a hint names one of the checkpoints."""
    try:
        return json.loads(data)["version"] in map(_version, checkpoints)
    except (ValueError, TypeError, KeyError):
        return False
