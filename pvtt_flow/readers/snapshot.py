"""Reading of one version of a dataset."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, TypeAlias

import pyarrow.dataset as ds

from pvtt_flow.dataset import queries
from pvtt_flow.dataset.arrow import Row
from pvtt_flow.dataset.snapshot import Snapshot
from pvtt_flow.dataset.tables import BUCKET, MASKLETS, VIDEOS
from pvtt_flow.types import Masklet, VideoRecord

if TYPE_CHECKING:
    import ray.data
    from duckdb import DuckDBPyConnection

    from pvtt_flow.core.profile import Profile
    from pvtt_flow.readers.clips import Clips, Transform
    from pvtt_flow.readers.fitness import MaskletFitness
    from pvtt_flow.readers.source_frames import ResolveUri

# By letters that are equal and near: 1 for equal texts, about 0.5 for texts without a relation.
_NEAREST = """
SELECT video_id FROM (SELECT video_id, jaro_winkler_similarity(video_id, $1) AS s FROM videos)
WHERE s >= $2 ORDER BY s DESC, video_id LIMIT $3
"""
_LEAST_SIMILARITY = 0.8

Expression: TypeAlias = ds.Expression
"""Arrow expression, for modules that pass expressions on and do not import pyarrow."""


class DatasetSnapshot:
    """Version of a dataset, for reading. It does not change while runs commit; it can be pickled.

    `where` is an Arrow expression on the table's columns, such as
    `(field("verdict") == "accept") & (field("qc", "presence") > 0.9)` with
    `from pyarrow.dataset import field`. Files and row groups whose statistics exclude a match are
    not opened. Videos that are gone from their input are left out of all tables, unless the
    snapshot was opened with `include_gone=True`; so are those that `videos_where`, an expression on
    the columns of `videos`, does not match.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        *,
        include_gone: bool = False,
        videos_where: Expression | None = None,
    ) -> None:
        self.uri = snapshot.uri
        self.version = snapshot.version
        self._scans = {VIDEOS: snapshot.scan_videos(), MASKLETS: snapshot.scan_masklets()}
        by_id = "video_id", BUCKET, queries.GONE_AT
        self._by_id = {
            VIDEOS: snapshot.scan_videos(by_id),
            MASKLETS: snapshot.scan_masklets(by_id),
        }
        """The same, to look up the rows of a few videos."""
        self._there = None if include_gone else queries.is_there(self._by_id[VIDEOS])
        """Condition for rows of both tables whose videos are not left out; None if no video is."""
        if videos_where is not None:
            where = queries.both(videos_where, self._there)
            self._there = queries.is_of(self._scans[VIDEOS], where)

    def videos(self) -> ds.Dataset:
        """Return the `videos` table as an Arrow dataset, which Polars and others read too.

        Arrow cannot pickle it if gone videos are left out; pickle this snapshot instead.
        """
        return self._rows(VIDEOS)

    def masklets(self) -> ds.Dataset:
        """Return the `masklets` table as an Arrow dataset, like `videos`."""
        return self._rows(MASKLETS)

    def _rows(self, table: str) -> ds.Dataset:
        rows = self._scans[table]
        return rows if self._there is None else rows.filter(self._there)

    def list_videos(self) -> list[VideoRecord]:
        """Return the rows of all videos, by uri; for millions of videos use `videos`."""
        return self.find_videos("")

    def find_videos(self, text: str, *, limit: int | None = None) -> list[VideoRecord]:
        """Return the video with id `text`, else the videos whose id or uri contains it, by uri."""
        return queries.find_videos(self._by_id[VIDEOS], text, limit=limit, where=self._there)

    def nearest_ids(self, text: str, *, limit: int) -> list[str]:
        """Return the ids of videos that are spelled much like `text`, the most similar first."""
        with self.duckdb() as connection:
            rows = connection.execute(_NEAREST, [text, _LEAST_SIMILARITY, limit]).fetchall()
        return [video_id for (video_id,) in rows]

    def video_as(self, cls: type[Row], video_id: str) -> Row | None:
        """Return a video as a dataclass that has some fields of `VideoRecord`; None if none is.

        Reads only those columns.
        """
        return queries.video_as(cls, self._by_id[VIDEOS], video_id, self._there)

    def masklets_of(self, *video_ids: str, shot_id: str | None = None) -> list[Masklet]:
        """Return the masklets of some videos, or of one shot, by id.

        Reads only partitions and row groups that can have them.
        """
        of_shot = None if shot_id is None else ds.field("shot_id") == shot_id
        where = queries.both(of_shot, self._there)
        return queries.masklets_of(self._by_id[MASKLETS], video_ids, where)

    def duckdb(self) -> "DuckDBPyConnection":
        """Return a new in-memory DuckDB connection with the views `videos` and `masklets`."""
        import duckdb

        connection = duckdb.connect()
        for name in self._scans:
            connection.register(name, self._rows(name))
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
        return ray_rows(self._scans[table], columns, queries.both(where, self._there))

    def fitness(
        self, *profiles: "Profile", where: ds.Expression | None = None
    ) -> "Iterator[MaskletFitness]":
        """Judge each masklet for each profile of `load_profile`, file by file.

        Reads stored rows without their masks. Use the `masklet_id` of those that are fit in
        `where` of other readers.
        """
        from pvtt_flow.readers.fitness import fitness_of

        return fitness_of(self._scans[MASKLETS], profiles, queries.both(where, self._there))

    def clips(
        self,
        num_frames: int | None = None,
        *,
        stride: int = 1,
        hop: int | None = None,
        where: ds.Expression | None = None,
        transform: "Transform | None" = None,
        resolve_uri: "ResolveUri | None" = None,
        anonymous: bool = False,
    ) -> "Clips":
        """Return the clips of masklets as a torch dataset; its `stream` gives an iterable one.

        A clip has `num_frames` frames of a masklet, `stride` frames apart; the next one starts
        `hop` frames later, by default where this one ends. `num_frames=None` makes one clip of each
        whole masklet. `resolve_uri` maps a source's uri in the dataset to its present uri, for
        copies on local disks. `anonymous` reads videos in public buckets without credentials.
        """
        from pvtt_flow.readers.clip_index import ClipIndex, Windows
        from pvtt_flow.readers.clips import Clips

        windows = Windows(num_frames=num_frames, stride=stride, hop=hop)
        root = f"{self.uri}/{MASKLETS}"
        scans = self._scans[MASKLETS], self._scans[VIDEOS]
        index = ClipIndex(root, *scans, windows, where, self._there)
        return Clips(index, transform, resolve_uri, anonymous=anonymous)
