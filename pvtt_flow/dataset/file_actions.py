"""Add and remove actions of one table, as Delta's log has them.

Files of a Delta table never change: to delete some rows of a file, the other rows are written to a
new one.
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

from pvtt_flow.dataset.stats import HIGH, LOW, stats_from_log
from pvtt_flow.dataset.tables import added, read_file, write_file

# Each mostly waits for its store.
_THREADS = 8
PARTITION = "partition."
"""Prefix of the columns of `files_of` that hold partition values."""


@dataclass(frozen=True, slots=True)
class FileActions:
    """Files that a transaction removes from a table and adds to it, by their path in the table."""

    removed: frozenset[str] = frozenset()
    added: tuple[AddAction, ...] = ()
    same_rows: bool = False
    """True if rows only move to other files, as in a compaction."""

    def with_files(self, *files: AddAction) -> "FileActions":
        """Return these actions with more files to add."""
        return replace(self, added=self.added + files)

    def __bool__(self) -> bool:
        return bool(self.removed or self.added)


NO_ACTIONS = FileActions()


def compose(first: FileActions, second: FileActions) -> FileActions:
    """Combine two successive changes into one; a file that both add and remove cancels out."""
    added_then_removed = {file.path for file in first.added} & second.removed
    removed_then_added = {file.path for file in second.added} & first.removed
    cancelled = added_then_removed | removed_then_added
    added = (file for file in first.added + second.added if file.path not in cancelled)
    return FileActions((first.removed | second.removed) - cancelled, tuple(added))


def actions_between(source: DeltaTable, target: DeltaTable) -> FileActions:
    """Return the actions that turn the files of one version into those of another."""
    paths = set(files_of(source)["path"].to_pylist())
    target_files = {file["path"]: file for file in files_of(target).to_pylist()}
    added = tuple(re_add(file) for path, file in target_files.items() if path not in paths)
    return FileActions(frozenset(paths - target_files.keys()), added)


def files_of(table: DeltaTable, paths: Collection[str] | None = None) -> pa.Table:
    """Return a row for each file, or for `paths`: path, size_bytes, num_records, bounds."""
    files = pa.table(table.get_add_actions(flatten=True))
    if paths is None:
        return files
    return files.filter(pc.is_in(files["path"], pa.array(list(paths), pa.string())))


def partition_of(file: Mapping[str, Any]) -> dict[str, str | None]:
    """Return the partition values of a row of `files_of`."""
    return {
        key.removeprefix(PARTITION): str(value)
        for key, value in file.items()
        if key.startswith(PARTITION)
    }


def re_add(file: Mapping[str, Any]) -> AddAction:
    """Return the action that adds the file of a row of `files_of` again."""
    partition = partition_of(file)
    return added(file["path"], file["size_bytes"], partition, stats_from_log(file))


def rows_of(
    table: DeltaTable, root: str, video_ids: Collection[str], columns: Sequence[str]
) -> pa.Table:
    """Read columns of the rows of some videos; opens only files that may have such rows."""
    ids = pa.array(sorted(video_ids), pa.string())
    paths = _may_contain(files_of(table), ids)["path"].to_pylist()
    with ThreadPoolExecutor(_THREADS) as pool:
        tables = list(pool.map(lambda path: read_file(root, path, columns), paths))
    schema = pa.schema([pa.schema(table.schema().to_arrow()).field(name) for name in columns])
    rows = pa.concat_tables([schema.empty_table(), *tables])
    return rows.filter(pc.is_in(rows["video_id"], ids))


def delete_videos(
    table: DeltaTable, root: str, video_ids: Collection[str], damaged: Collection[str] = ()
) -> FileActions:
    """Return the actions that delete the rows of some videos, and the damaged files as a whole.

    A file that also has rows of other videos is replaced by a new one with only those. Up to
    `_THREADS` files are in memory at one time.
    """
    ids = pa.array(sorted(video_ids), pa.string())
    schema = pa.schema(table.schema().to_arrow())
    unread = frozenset(files_of(table, damaged)["path"].to_pylist())
    files = [f for f in _may_contain(files_of(table), ids).to_pylist() if f["path"] not in unread]
    with ThreadPoolExecutor(_THREADS) as pool:
        parts = list(pool.map(lambda file: _delete_from_file(root, file, ids, schema), files))
    removed = unread.union(*(actions.removed for actions in parts))
    return FileActions(removed, tuple(file for actions in parts for file in actions.added))


def _delete_from_file(
    root: str, file: Mapping[str, Any], video_ids: pa.Array, schema: pa.Schema
) -> FileActions:
    path = file["path"]
    is_deleted = pc.is_in(read_file(root, path, ["video_id"])["video_id"], video_ids)
    if not pc.any(is_deleted).as_py():
        return NO_ACTIONS
    if pc.all(is_deleted).as_py():
        return FileActions(frozenset({path}))
    remaining = read_file(root, path, schema=schema).filter(pc.invert(is_deleted))
    return FileActions(frozenset({path}), (write_file(root, remaining, partition_of(file)),))


def _may_contain(files: pa.Table, video_ids: pa.Array) -> pa.Table:
    """Return the files whose bounds contain one of the sorted ids, or that have no bounds."""
    ids = np.array(video_ids.to_pylist(), str)
    lows, highs = (_bounds(files, f"{end}video_id") for end in (LOW, HIGH))
    if not len(ids) or lows is None or highs is None:
        return files if len(ids) else files.slice(0, 0)
    unknown = lows == ""
    first = np.searchsorted(ids, lows)
    inside = (first < len(ids)) & (ids[np.minimum(first, len(ids) - 1)] <= highs)
    return files.filter(pa.array(unknown | inside, pa.bool_()))


def _bounds(files: pa.Table, name: str) -> "np.ndarray[Any, np.dtype[np.str_]] | None":
    """Return a bound for each file, "" where it has none; None if no file has any."""
    if name not in files.column_names:
        return None
    return np.array(pc.fill_null(files[name].cast(pa.string()), "").to_pylist(), str)
