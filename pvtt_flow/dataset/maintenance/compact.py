"""Many small files to few of a good size: the same rows, in the order of their videos.

Every shot is a file of its own when it is committed, and every commit a file of seals: that is
what lets a killed run lose so little. Runs merge `fanout` files of about one size into one that is
so many times as large, as log-structured merge trees do (size-tiered): a row is written anew once
for each such size, however many runs there are.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable

from pvtt_flow.dataset.file_actions import Edit, files_of, partition_of
from pvtt_flow.dataset.tables import MASKLETS, VIDEOS, read_file, write_file
from pvtt_flow.dataset.transactions import Base, Step, advance

_ORDERS = {
    VIDEOS: [("video_id", "ascending")],
    MASKLETS: [("video_id", "ascending"), ("shot_index", "ascending"), ("object_id", "ascending")],
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Merging:
    """When files are merged, and into what."""

    target_bytes: Mapping[str, int]
    """By table: merged files have at most as many; those with half of it stay as they are."""
    fanout: int
    """So many small files of a partition are merged."""
    tiered: bool = False
    """Whether only files of about one size are."""
    max_groups: int | None = None
    """At most so many merged files a table and step."""


# That of `masklets` by `tests/bench/layout.py`: to replace a video is to write its file anew, and
# reading gains little from larger ones. That of `videos` is a guess.
_TARGET_BYTES = {VIDEOS: 8 << 20, MASKLETS: 16 << 20}
THOROUGH = Merging(target_bytes=_TARGET_BYTES, fanout=2)
"""For a command that is given time."""
RUNNING = Merging(target_bytes=_TARGET_BYTES, fanout=16, tiered=True, max_groups=16)
"""For the driver of a run, between two commits, which must not wait for long."""


@dataclass(frozen=True, slots=True)
class File:
    """What the choice needs to know of a file."""

    path: str
    partition: str
    size_bytes: int
    first_id: str


def compact(uri: str, merging: Merging, notes: Mapping[str, Any]) -> int:
    """Merge what is to be merged of both tables, in one step; returns the dataset's version."""

    def step(base: Base) -> Step | None:
        videos = _merged(uri, VIDEOS, base.videos, merging)
        masklets = _merged(uri, MASKLETS, base.masklets, merging)
        if not videos and not masklets:
            return None
        return Step(name="compact", videos=videos, masklets=masklets, notes=notes)

    return advance(uri, step)


def groups(files: Sequence[File], table: str, merging: Merging) -> Iterator[list[File]]:
    """The files to be merged, each group into one: of one partition, neighbours by video."""
    target_bytes, fanout = merging.target_bytes[table], merging.fanout
    small: dict[tuple[str, int], list[File]] = {}
    for file in sorted(files, key=lambda file: (file.first_id, file.path)):
        if 2 * file.size_bytes < target_bytes:
            tier = int(math.log(file.size_bytes, fanout)) if merging.tiered else 0
            small.setdefault((file.partition, tier), []).append(file)
    for neighbours in small.values():
        if len(neighbours) >= fanout:
            yield from (group for group in _filled(neighbours, target_bytes) if len(group) > 1)


def _filled(files: Sequence[File], target_bytes: int) -> Iterator[list[File]]:
    group: list[File] = []
    size_bytes = 0
    for file in files:
        if group and size_bytes + file.size_bytes > target_bytes:
            yield group
            group, size_bytes = [], 0
        group.append(file)
        size_bytes += file.size_bytes
    yield group


def _merged(uri: str, name: str, table: DeltaTable, merging: Merging) -> Edit:
    rows = {row["path"]: row for row in files_of(table).to_pylist()}
    files = [
        File(path, str(partition_of(row)), row["size_bytes"], row.get("min.video_id") or "")
        for path, row in rows.items()
    ]
    root, removed, added = f"{uri}/{name}", [], []
    for group in islice(groups(files, name, merging), merging.max_groups):
        parts = pa.concat_tables([read_file(root, file.path) for file in group])
        merged = parts.sort_by(_ORDERS[name])
        added.append(write_file(root, merged, partition_of(rows[group[0].path])))
        removed += [file.path for file in group]
    return Edit(frozenset(removed), tuple(added), same_rows=True)
