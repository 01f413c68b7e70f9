"""Which clips there are and where their rows lie, so that each can be had by its number."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from numpy.typing import NDArray

from pvtt_flow.readers.windows import Windows
from pvtt_flow.storage.arrow_files import arrow_filesystem

# Each mostly waits for its store.
_THREADS = 8
_NUM_FRAMES = pc.coalesce(ds.field("qc", "num_frames"), ds.scalar(0))
# Long, and nothing that an expression can speak of.
_LISTS = {"frames", "prompts", "reasons"}


@dataclass(frozen=True, slots=True)
class ClipPlace:
    """One clip: its masklet's row of the catalog, and which of that masklet's frames."""

    masklet: int
    positions: range


class Catalog:
    """The masklets that match, a row each, and the clips in them, numbered in the files' order.

    A row has `masklet_id`, `video_id`, where the masklet lies (`path` in the table's folder
    `root`, `row_group` in the file, `row` in the group), how many frames it has (`num_frames`),
    and its source (`uri`, `etag`, `size_bytes`).
    """

    def __init__(
        self,
        root: str,
        masklets: ds.FileSystemDataset,
        videos: ds.Dataset,
        windows: Windows,
        where: ds.Expression | None,
    ) -> None:
        self.root = root
        self._windows = windows
        found = _with_sources(_matching(root, masklets, where), videos)
        counts = windows.count(found["num_frames"].to_numpy())
        self.rows = found.filter(pa.array(counts > 0)).combine_chunks()
        self.num_too_short = found.num_rows - self.rows.num_rows
        """Masklets that match and have too few frames for a clip."""
        self._lengths = self.rows["num_frames"].to_numpy()
        self._stops = np.cumsum(counts[counts > 0])

    def __len__(self) -> int:
        """Clips."""
        return int(self._stops[-1]) if len(self._stops) else 0

    def clip(self, number: int) -> ClipPlace:
        """The clip of a number, from 0."""
        masklet = int(np.searchsorted(self._stops, number, side="right"))
        return self._place(masklet, number - self._start(masklet))

    def clips_of(self, masklet: int) -> Iterator[ClipPlace]:
        """All clips of a masklet, in order of time."""
        count = int(self._stops[masklet]) - self._start(masklet)
        return (self._place(masklet, number) for number in range(count))

    @cached_property
    def videos(self) -> list[NDArray[np.int64]]:
        """The masklets of each video that has any, by row."""
        ids = self.rows["video_id"].combine_chunks().dictionary_encode().indices.to_numpy()
        order = np.argsort(ids, kind="stable")
        edges = np.flatnonzero(np.diff(ids[order])) + 1
        return np.split(order, edges) if len(order) else []

    def row(self, masklet: int) -> dict[str, Any]:
        """A masklet's row."""
        found: dict[str, Any] = self.rows.slice(masklet, 1).to_pylist()[0]
        return found

    def _start(self, masklet: int) -> int:
        """The number of a masklet's first clip."""
        return int(self._stops[masklet - 1]) if masklet else 0

    def _place(self, masklet: int, number: int) -> ClipPlace:
        length = int(self._lengths[masklet])
        return ClipPlace(masklet, self._windows.positions(length, number))


def _matching(root: str, masklets: ds.FileSystemDataset, where: ds.Expression | None) -> pa.Table:
    _, folder = arrow_filesystem(root)
    find = partial(_matching_in, folder=folder, schema=masklets.schema, where=where)
    with ThreadPoolExecutor(_THREADS) as pool:
        found = list(pool.map(find, masklets.get_fragments(filter=where)))
    return pa.concat_tables([_PLACES.empty_table(), *found])


def _matching_in(
    file: ds.ParquetFileFragment, folder: str, schema: pa.Schema, where: ds.Expression | None
) -> pa.Table:
    """The matching rows of a file: where they are, and how many frames they have."""
    known = [] if where is None else [name for name in schema.names if name not in _LISTS]
    columns = {name: ds.field(name) for name in {"masklet_id", "video_id", *known}}
    path = file.path.removeprefix(f"{folder}/")
    parts = [_PLACES.empty_table()]
    for group in file.split_by_row_group(where, schema=schema):
        rows = group.to_table(schema, columns={**columns, "num_frames": _NUM_FRAMES})
        rows = rows.append_column("row", pa.array(np.arange(rows.num_rows)))
        rows = rows if where is None else rows.filter(where)
        number = pa.repeat(pa.scalar(group.row_groups[0].id, pa.int64()), rows.num_rows)
        rows = rows.append_column("row_group", number)
        rows = rows.append_column("path", pa.repeat(path, rows.num_rows))
        parts.append(rows.select(_PLACES.names).cast(_PLACES))
    return pa.concat_tables(parts)


_PLACES = pa.schema(
    {
        "masklet_id": pa.string(),
        "video_id": pa.string(),
        "num_frames": pa.int64(),
        "path": pa.string(),
        "row_group": pa.int64(),
        "row": pa.int64(),
    }
)


def _with_sources(places: pa.Table, videos: ds.Dataset) -> pa.Table:
    sources = videos.to_table(columns=["video_id", "uri", "etag", "size_bytes"])
    order = [(name, "ascending") for name in ("path", "row_group", "row")]
    return places.join(sources, "video_id", join_type="inner").sort_by(order).combine_chunks()
