"""Index of the clips of a dataset: which there are, and where their rows are stored."""

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

from pvtt_flow.dataset.damage import naming_damage
from pvtt_flow.storage.arrow_files import arrow_filesystem

# Threads mostly wait for the store.
_THREADS = 8
_NUM_FRAMES = pc.coalesce(ds.field("qc", "num_frames"), ds.scalar(0))
# Long columns, which a filter expression cannot use.
_LISTS = {"frames", "prompts", "reasons"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """Cut of masklets into clips of equal length; positions count a masklet's frames."""

    num_frames: int | None = None
    """Number of frames of a clip; None makes one clip of each whole masklet."""
    stride: int = 1
    """Distance between successive frames of a clip, in frames of the masklet."""
    hop: int | None = None
    """Distance between the starts of clips; None leaves no gap and no overlap."""

    def __post_init__(self) -> None:
        for name in ("num_frames", "stride", "hop"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        if self.num_frames is None and self.hop is not None:
            raise ValueError(
                "hop must be None if num_frames is None, since each masklet is one clip"
            )

    def count(self, lengths: NDArray[np.int64]) -> NDArray[np.int64]:
        """Count the clips of masklets with these numbers of frames, int64 (N,)."""
        if self.num_frames is None:
            return (lengths > 0).astype(np.int64)
        return np.maximum(0, (lengths - self._span) // self._hop + 1)

    def positions(self, length: int, number: int) -> range:
        """Return the positions of clip `number` in a masklet of `length` frames."""
        if self.num_frames is None:
            return range(0, length, self.stride)
        start = number * self._hop
        return range(start, start + self._span, self.stride)

    @property
    def _span(self) -> int:
        """Number of masklet frames from a clip's first frame to its last, both included."""
        return ((self.num_frames or 1) - 1) * self.stride + 1

    @property
    def _hop(self) -> int:
        return self.hop or (self.num_frames or 1) * self.stride


@dataclass(frozen=True, slots=True)
class ClipRef:
    """Clip: the row of its masklet in the index, and the positions of its frames."""

    masklet: int
    positions: range


class ClipIndex:
    """Masklets that match a filter, with a row each, and their clips, in the order of the files.

    `videos_where` is a filter on the rows of their videos.

    A row has `masklet_id`, `video_id`, the location of the masklet (`path` in the table's folder
    `root`, `row_group` in the file, `row` in the group), its number of frames (`num_frames`), and
    its source (`uri`, `etag`, `size_bytes`).
    """

    def __init__(
        self,
        root: str,
        masklets: ds.FileSystemDataset,
        videos: ds.Dataset,
        windows: Windows,
        where: ds.Expression | None,
        videos_where: ds.Expression | None = None,
    ) -> None:
        self.root = root
        self._windows = windows
        matches = _with_sources(_matching(root, masklets, where), videos, videos_where)
        counts = windows.count(matches["num_frames"].to_numpy())
        self.rows = matches.filter(pa.array(counts > 0)).combine_chunks()
        self.num_too_short = matches.num_rows - self.rows.num_rows
        """Number of masklets that match and have too few frames for a clip."""
        self._lengths = self.rows["num_frames"].to_numpy()
        self._stops = np.cumsum(counts[counts > 0])

    def __len__(self) -> int:
        """Return the number of clips."""
        return int(self._stops[-1]) if len(self._stops) else 0

    def clip(self, number: int) -> ClipRef:
        """Return clip `number`, counted from 0."""
        masklet = int(np.searchsorted(self._stops, number, side="right"))
        return self._ref(masklet, number - self._start(masklet))

    def clips_of(self, masklet: int) -> Iterator[ClipRef]:
        """Iterate over the clips of a masklet, in order of time."""
        count = int(self._stops[masklet]) - self._start(masklet)
        return (self._ref(masklet, number) for number in range(count))

    @cached_property
    def videos(self) -> list[NDArray[np.int64]]:
        """Masklet rows of each video that has any, int64 (N,) each."""
        ids = self.rows["video_id"].combine_chunks().dictionary_encode().indices.to_numpy()
        order = np.argsort(ids, kind="stable")
        edges = np.flatnonzero(np.diff(ids[order])) + 1
        return np.split(order, edges) if len(order) else []

    def row(self, masklet: int) -> dict[str, Any]:
        """Return the row of a masklet."""
        row: dict[str, Any] = self.rows.slice(masklet, 1).to_pylist()[0]
        return row

    def _start(self, masklet: int) -> int:
        """Return the number of a masklet's first clip."""
        return int(self._stops[masklet - 1]) if masklet else 0

    def _ref(self, masklet: int, number: int) -> ClipRef:
        length = int(self._lengths[masklet])
        return ClipRef(masklet, self._windows.positions(length, number))


def _matching(root: str, masklets: ds.FileSystemDataset, where: ds.Expression | None) -> pa.Table:
    _, folder = arrow_filesystem(root)
    find = partial(_matching_in, folder=folder, schema=masklets.schema, where=where)
    files = list(masklets.get_fragments(filter=where))
    columns = set(masklets.schema.names) - _LISTS
    with ThreadPoolExecutor(_THREADS) as pool, naming_damage(files, columns):
        matches = list(pool.map(find, files))
    return pa.concat_tables([_LOCATIONS.empty_table(), *matches])


def _matching_in(
    file: ds.ParquetFileFragment, folder: str, schema: pa.Schema, where: ds.Expression | None
) -> pa.Table:
    """Return location and number of frames of the matching rows of a file."""
    filtered = [] if where is None else [name for name in schema.names if name not in _LISTS]
    columns = {name: ds.field(name) for name in {"masklet_id", "video_id", *filtered}}
    path = file.path.removeprefix(f"{folder}/")
    parts = [_LOCATIONS.empty_table()]
    for group in file.split_by_row_group(where, schema=schema):
        rows = group.to_table(schema, columns={**columns, "num_frames": _NUM_FRAMES})
        rows = rows.append_column("row", pa.array(np.arange(rows.num_rows)))
        rows = rows if where is None else rows.filter(where)
        number = pa.repeat(pa.scalar(group.row_groups[0].id, pa.int64()), rows.num_rows)
        rows = rows.append_column("row_group", number)
        rows = rows.append_column("path", pa.repeat(path, rows.num_rows))
        parts.append(rows.select(_LOCATIONS.names).cast(_LOCATIONS))
    return pa.concat_tables(parts)


_LOCATIONS = pa.schema(
    {
        "masklet_id": pa.string(),
        "video_id": pa.string(),
        "num_frames": pa.int64(),
        "path": pa.string(),
        "row_group": pa.int64(),
        "row": pa.int64(),
    }
)


def _with_sources(locations: pa.Table, videos: ds.Dataset, where: ds.Expression | None) -> pa.Table:
    columns = ["video_id", "uri", "etag", "size_bytes"]
    with naming_damage(videos.get_fragments(), columns):
        sources = videos.to_table(columns=columns, filter=where)
    order = [(name, "ascending") for name in ("path", "row_group", "row")]
    return locations.join(sources, "video_id", join_type="inner").sort_by(order).combine_chunks()
