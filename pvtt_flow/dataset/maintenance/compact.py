"""Compaction: rewrite many small files as few of a good size, with rows sorted by video.

Each shot and each commit makes a file of its own, so that a killed run loses little. Runs merge
`fanout` files of about equal size into one, as log-structured merge trees do (size-tiered
compaction): a row is rewritten once for each size tier, however many runs there are.
"""

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable

from pvtt_flow.dataset.damage import DamagedFileError
from pvtt_flow.dataset.file_actions import FileActions, files_of, partition_of
from pvtt_flow.dataset.snapshot import Snapshot
from pvtt_flow.dataset.tables import MASKLETS, VIDEOS, read_file, write_file
from pvtt_flow.dataset.transactions import Transaction, commit

_LOG = logging.getLogger(__name__)
_ORDERS = {
    VIDEOS: [("video_id", "ascending")],
    MASKLETS: [("video_id", "ascending"), ("shot_index", "ascending"), ("object_id", "ascending")],
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CompactionPolicy:
    """Choice of the files to merge."""

    target_bytes: Mapping[str, int]
    """Largest merged file by table; files of at least half this size stay as they are."""
    fanout: int
    """Number of small files in a partition from which on they are merged."""
    tiered: bool = False
    """True if only files of about equal size are merged with each other."""
    max_groups: int | None = None
    """Largest number of merged files for each table and transaction; None for no limit."""


# The size for `masklets` was measured by `tests/bench/layout.py`: a replaced video rewrites its
# file, and larger files speed up reading only a little. The size for `videos` was not measured.
_TARGET_BYTES = {VIDEOS: 8 << 20, MASKLETS: 16 << 20}
FULL = CompactionPolicy(target_bytes=_TARGET_BYTES, fanout=2)
"""Policy of the command, which may take its time."""
INCREMENTAL = CompactionPolicy(target_bytes=_TARGET_BYTES, fanout=16, tiered=True, max_groups=16)
"""Policy of a run between two commits, which must not take long."""


@dataclass(frozen=True, slots=True)
class File:
    """Facts about a file by which it is chosen."""

    path: str
    partition: str
    size_bytes: int
    first_id: str


def compact(uri: str, policy: CompactionPolicy, notes: Mapping[str, Any]) -> int:
    """Merge small files of both tables in one transaction; returns the dataset's version."""

    def transaction(snapshot: Snapshot) -> Transaction | None:
        videos = _merge(uri, VIDEOS, snapshot.videos, policy)
        masklets = _merge(uri, MASKLETS, snapshot.masklets, policy)
        if not videos and not masklets:
            return None
        return Transaction(operation="compact", videos=videos, masklets=masklets, notes=notes)

    return commit(uri, transaction)


def merge_groups(
    files: Sequence[File], table: str, policy: CompactionPolicy
) -> Iterator[list[File]]:
    """Yield groups of files to merge into one: of one partition, adjacent by video id."""
    target_bytes, fanout = policy.target_bytes[table], policy.fanout
    small: dict[tuple[str, int], list[File]] = {}
    for file in sorted(files, key=lambda file: (file.first_id, file.path)):
        if 2 * file.size_bytes < target_bytes:
            tier = int(math.log(file.size_bytes, fanout)) if policy.tiered else 0
            small.setdefault((file.partition, tier), []).append(file)
    for adjacent in small.values():
        if len(adjacent) >= fanout:
            yield from (group for group in _fill(adjacent, target_bytes) if len(group) > 1)


def _fill(files: Sequence[File], target_bytes: int) -> Iterator[list[File]]:
    group: list[File] = []
    size_bytes = 0
    for file in files:
        if group and size_bytes + file.size_bytes > target_bytes:
            yield group
            group, size_bytes = [], 0
        group.append(file)
        size_bytes += file.size_bytes
    yield group


def _merge(uri: str, name: str, table: DeltaTable, policy: CompactionPolicy) -> FileActions:
    rows = {row["path"]: row for row in files_of(table).to_pylist()}
    files = [
        File(path, str(partition_of(row)), row["size_bytes"], row.get("min.video_id") or "")
        for path, row in rows.items()
    ]
    schema = pa.schema(table.schema().to_arrow())
    root, removed, added = f"{uri}/{name}", [], []
    for group in islice(merge_groups(files, name, policy), policy.max_groups):
        try:
            parts = pa.concat_tables([read_file(root, f.path, schema=schema) for f in group])
        except DamagedFileError as error:
            _LOG.warning("files of %s stay as they are: %s", root, error)
            continue
        merged = parts.sort_by(_ORDERS[name])
        added.append(write_file(root, merged, partition_of(rows[group[0].path])))
        removed += [file.path for file in group]
    return FileActions(frozenset(removed), tuple(added), same_rows=True)
