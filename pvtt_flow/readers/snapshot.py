"""Reading of one version of a dataset."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pyarrow.dataset as ds

from pvtt_flow.dataset import queries
from pvtt_flow.dataset.snapshot import Snapshot
from pvtt_flow.dataset.tables import MASKLETS, VIDEOS
from pvtt_flow.types import Masklet, VideoRecord

if TYPE_CHECKING:
    import ray.data
    from duckdb import DuckDBPyConnection

    from pvtt_flow.readers.clips import Clips, Transform
    from pvtt_flow.readers.source_frames import ResolveUri


class DatasetSnapshot:
    """Version of a dataset, for reading. It does not change while runs commit; it can be pickled.

    `where` is an Arrow expression on the table's columns, such as
    `(field("verdict") == "accept") & (field("qc", "presence") > 0.9)` with
    `from pyarrow.dataset import field`. Files and row groups whose statistics exclude a match are
    not opened.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self.uri = snapshot.uri
        self.version = snapshot.version
        self._scans = {VIDEOS: snapshot.scan_videos(), MASKLETS: snapshot.scan_masklets()}

    def videos(self) -> ds.Dataset:
        """Return the `videos` table as an Arrow dataset, which Polars and others read too."""
        return self._scans[VIDEOS]

    def masklets(self) -> ds.Dataset:
        """Return the `masklets` table as an Arrow dataset."""
        return self._scans[MASKLETS]

    def list_videos(self) -> list[VideoRecord]:
        """Return the rows of all videos, by uri; for millions of videos use `videos`."""
        return queries.find_videos(self.videos(), "")

    def find_videos(self, text: str, *, limit: int | None = None) -> list[VideoRecord]:
        """Return the video with id `text`, else the videos whose id or uri contains it, by uri."""
        return queries.find_videos(self.videos(), text, limit=limit)

    def masklets_of(self, *video_ids: str) -> list[Masklet]:
        """Return the masklets of some videos, by id; reads only partitions that can have them."""
        return queries.masklets_of(self.masklets(), video_ids)

    def duckdb(self) -> "DuckDBPyConnection":
        """Return a new in-memory DuckDB connection with the views `videos` and `masklets`."""
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
        """Return the rows of a table as a Ray Data dataset; `columns=None` takes all."""
        from pvtt_flow.readers.ray_rows import ray_rows

        if table not in self._scans:
            raise ValueError(f"table must be one of {', '.join(self._scans)}, got {table!r}")
        return ray_rows(self._scans[table], columns, where)

    def clips(
        self,
        num_frames: int | None = None,
        *,
        stride: int = 1,
        hop: int | None = None,
        where: ds.Expression | None = None,
        transform: "Transform | None" = None,
        resolve_uri: "ResolveUri | None" = None,
    ) -> "Clips":
        """Return the clips of masklets as a torch dataset; its `stream` gives an iterable one.

        A clip has `num_frames` frames of a masklet, `stride` frames apart; the next one starts
        `hop` frames later, by default where this one ends. `num_frames=None` makes one clip of each
        whole masklet. `resolve_uri` maps a source's uri in the dataset to its present uri, for
        copies on local disks.
        """
        from pvtt_flow.readers.clip_index import ClipIndex, Windows
        from pvtt_flow.readers.clips import Clips

        windows = Windows(num_frames=num_frames, stride=stride, hop=hop)
        root = f"{self.uri}/{MASKLETS}"
        index = ClipIndex(root, self.masklets(), self.videos(), windows, where)
        return Clips(index, transform, resolve_uri)
