"""One version of a dataset, opened for reading: the door for everyone who uses one."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pyarrow.dataset as ds

from pvtt_flow.dataset.dataset import Dataset
from pvtt_flow.dataset.scan import scan
from pvtt_flow.dataset.tables import MASKLETS, VIDEOS
from pvtt_flow.dataset.transactions import snapshot_at
from pvtt_flow.readers.windows import Windows

if TYPE_CHECKING:
    import ray.data
    from duckdb import DuckDBPyConnection

    from pvtt_flow.readers.clips import Clips, Transform
    from pvtt_flow.readers.source_frames import Locate


class OpenDataset:
    """A version of a dataset. It stays that version while runs go on; it can be pickled.

    `where` is an Arrow expression on the table's columns, such as
    `(field("verdict") == "accept") & (field("qc", "presence") > 0.9)` with
    `from pyarrow.dataset import field`. Files whose rows cannot match, by what the log knows of
    them, are not opened, and neither are parts of files.
    """

    def __init__(self, dataset: Dataset) -> None:
        snapshot = snapshot_at(dataset.uri, dataset.version)
        self.uri = dataset.uri
        self.version = int(snapshot.videos.version())
        self._scans = {
            VIDEOS: scan(snapshot.videos, f"{self.uri}/{VIDEOS}"),
            MASKLETS: scan(snapshot.masklets, f"{self.uri}/{MASKLETS}"),
        }

    def videos(self) -> ds.Dataset:
        """The `videos` table for Arrow, and for all that reads Arrow datasets (Polars, …)."""
        return self._scans[VIDEOS]

    def masklets(self) -> ds.Dataset:
        """The `masklets` table, likewise."""
        return self._scans[MASKLETS]

    def duckdb(self) -> "DuckDBPyConnection":
        """A new in-memory DuckDB in which `videos` and `masklets` are views."""
        import duckdb

        connection = duckdb.connect()
        for name, rows in self._scans.items():
            connection.register(name, rows)
        return connection

    def ray(
        self,
        table: str = MASKLETS,
        *,
        columns: Sequence[str] | None = None,
        where: ds.Expression | None = None,
    ) -> "ray.data.Dataset":
        """The rows of `masklets` or `videos` as a Ray Data dataset; columns: None for all."""
        from pvtt_flow.readers.ray_rows import ray_rows

        if table not in self._scans:
            raise ValueError(f"table must be one of {', '.join(self._scans)}, got {table!r}")
        return ray_rows(self._scans[table], columns, where)

    def clips(
        self,
        num_frames: int | None = None,
        *,
        every: int = 1,
        hop: int | None = None,
        where: ds.Expression | None = None,
        transform: "Transform | None" = None,
        locate: "Locate | None" = None,
    ) -> "Clips":
        """Clips of masklets for torch, by number; its `stream` is the same as a stream.

        A clip has `num_frames` of a masklet's frames, one of `every` so many, and the next one
        starts `hop` frames later (by default where it ends); None takes masklets whole. `locate`
        tells where a source is now, from its uri in the dataset: for copies on local disks.
        """
        from pvtt_flow.readers.clip_index import Catalog
        from pvtt_flow.readers.clips import Clips

        windows = Windows(num_frames=num_frames, every=every, hop=hop)
        root = f"{self.uri}/{MASKLETS}"
        catalog = Catalog(root, self.masklets(), self.videos(), windows, where)
        return Clips(catalog, transform, locate)
