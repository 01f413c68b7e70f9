"""What a step does to one table: paths that leave it and files that enter it.

Delta's files never change, so to take out some of a file's rows is to write the rest anew.
"""

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable
from deltalake.transaction import AddAction

from pvtt_flow.dataset.stats import HIGH, LOW, stats_again
from pvtt_flow.dataset.tables import added, read_file, write_file

# Each mostly waits for its store.
_THREADS = 8
PARTITION = "partition."
"""Prefix of the columns of `files_of` that tell partitions."""


@dataclass(frozen=True, slots=True)
class Edit:
    """Files are named by their path in the table."""

    removed: frozenset[str] = frozenset()
    added: tuple[AddAction, ...] = ()
    same_rows: bool = False
    """Whether rows only change the files that they are in."""

    def with_files(self, *files: AddAction) -> "Edit":
        """The same with more files that enter."""
        return replace(self, added=self.added + files)

    def __bool__(self) -> bool:
        return bool(self.removed or self.added)


NOTHING = Edit()


def then(first: Edit, second: Edit) -> Edit:
    """Both in one; what one of them takes back of the other is in neither."""
    added_then_removed = {file.path for file in first.added} & second.removed
    removed_then_added = {file.path for file in second.added} & first.removed
    back = added_then_removed | removed_then_added
    added = (file for file in first.added + second.added if file.path not in back)
    return Edit((first.removed | second.removed) - back, tuple(added))


def between(here: DeltaTable, there: DeltaTable) -> Edit:
    """What makes the files of one version those of another."""
    have = set(files_of(here)["path"].to_pylist())
    wanted = {file["path"]: file for file in files_of(there).to_pylist()}
    back = tuple(added_again(file) for path, file in wanted.items() if path not in have)
    return Edit(frozenset(have - wanted.keys()), back)


def files_of(table: DeltaTable, paths: Collection[str] | None = None) -> pa.Table:
    """A row for each file, or for those at `paths`: path, size_bytes, num_records, bounds, …"""
    files = pa.table(table.get_add_actions(flatten=True))
    if paths is None:
        return files
    return files.filter(pc.is_in(files["path"], pa.array(list(paths), pa.string())))


def partition_of(file: Mapping[str, Any]) -> dict[str, str | None]:
    """The partition values of a row of `files_of`."""
    return {
        key.removeprefix(PARTITION): str(value)
        for key, value in file.items()
        if key.startswith(PARTITION)
    }


def added_again(file: Mapping[str, Any]) -> AddAction:
    """The action that brings the file of a row of `files_of` back."""
    partition = partition_of(file)
    return added(file["path"], file["size_bytes"], partition, stats_again(file))


def rows_of(
    table: DeltaTable, root: str, video_ids: Collection[str], columns: Sequence[str]
) -> pa.Table:
    """Some columns of the rows of some videos; opens only the files that may have them."""
    ids = pa.array(sorted(video_ids), pa.string())
    paths = _may_hold(files_of(table), ids)["path"].to_pylist()
    with ThreadPoolExecutor(_THREADS) as pool:
        tables = list(pool.map(lambda path: read_file(root, path, columns), paths))
    schema = pa.schema([pa.schema(table.schema().to_arrow()).field(name) for name in columns])
    rows = pa.concat_tables([schema.empty_table(), *tables])
    return rows.filter(pc.is_in(rows["video_id"], ids))


def without(table: DeltaTable, root: str, video_ids: Collection[str]) -> Edit:
    """Takes the rows of some videos out.

    A file that also has other videos' rows is replaced by one with only those; several are read
    whole at one time, so the size of files bounds the memory.
    """
    ids = pa.array(sorted(video_ids), pa.string())
    files = _may_hold(files_of(table), ids).to_pylist()
    with ThreadPoolExecutor(_THREADS) as pool:
        edits = list(pool.map(lambda file: _file_without(root, file, ids), files))
    removed = frozenset[str]().union(*(edit.removed for edit in edits))
    return Edit(removed, tuple(file for edit in edits for file in edit.added))


def _file_without(root: str, file: Mapping[str, Any], video_ids: pa.Array) -> Edit:
    path = file["path"]
    gone = pc.is_in(read_file(root, path, ["video_id"])["video_id"], video_ids)
    if not pc.any(gone).as_py():
        return NOTHING
    if pc.all(gone).as_py():
        return Edit(frozenset({path}))
    kept = read_file(root, path).filter(pc.invert(gone))
    return Edit(frozenset({path}), (write_file(root, kept, partition_of(file)),))


def _may_hold(files: pa.Table, video_ids: pa.Array) -> pa.Table:
    """The files in whose bounds one of the ids (sorted) lies, or that have none."""
    ids = np.array(video_ids.to_pylist(), str)
    lows, highs = (_bounds(files, f"{end}video_id") for end in (LOW, HIGH))
    if not len(ids) or lows is None or highs is None:
        return files if len(ids) else files.slice(0, 0)
    unknown = lows == ""
    first = np.searchsorted(ids, lows)
    inside = (first < len(ids)) & (ids[np.minimum(first, len(ids) - 1)] <= highs)
    return files.filter(pa.array(unknown | inside, pa.bool_()))


def _bounds(files: pa.Table, name: str) -> "np.ndarray[Any, np.dtype[np.str_]] | None":
    """One a file, "" where it has none; None when no file has any."""
    if name not in files.column_names:
        return None
    return np.array(pc.fill_null(files[name].cast(pa.string()), "").to_pylist(), str)
