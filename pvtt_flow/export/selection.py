"""Select the masklets of an export with SQL, and group them into sequences.

A sequence is one shot of a video, without a cut, with the selected objects in it: what DAVIS calls
a sequence and YouTube-VIS a video. Frames of a sequence are those that were processed, from 0.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import TYPE_CHECKING, Any

from pvtt_flow.core.ids import digest
from pvtt_flow.core.profile import Profile
from pvtt_flow.errors import ConfigError
from pvtt_flow.export.split import Split
from pvtt_flow.readers.condition import JOINED, as_condition, lock, refused

if TYPE_CHECKING:
    import pyarrow as pa

    from pvtt_flow.readers.snapshot import DatasetSnapshot

# Names become names of files in every format and store.
_NOT_IN_NAMES = re.compile(r"[^\w-]+")
_MAX_NAME_CHARS = 120
# Rows of videos in which the detector found nothing have no masklet.
_SELECT = """
SELECT videos.video_id, masklets.masklet_id, masklets.shot_id, masklets.shot_index,
       masklets.object_id, masklets.label, videos.num_shots, {split} AS split_group
FROM {joined}
WHERE (masklets.masklet_id IS NOT NULL OR videos.status = 'empty') AND ({where})
ORDER BY videos.video_id, masklets.shot_index, masklets.object_id
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Choice of masklets: all conditions must hold."""

    where: str | None = None
    """SQL on `videos` and `masklets`, as `masklets.verdict = 'accept' AND videos.fps_num > 20`."""
    verdicts: tuple[str, ...] = ()
    """Verdicts to take; empty takes all."""
    fit: Profile | None = None
    """Consumer for which a masklet must be fit; null takes all."""
    split: Split | None = None
    negatives: bool = False
    """True to take videos, too, in which the detector found no product."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SequenceRef:
    """Sequence to export: its name and the ids of its rows."""

    name: str
    """Name of its files and folders, unique in the dataset."""
    video_id: str
    shot_id: str | None
    """Null for a whole video without a product."""
    masklet_ids: tuple[str, ...]
    split: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """Names that occur in the whole selection, in order."""

    labels: tuple[str, ...] = ()
    splits: tuple[str, ...] = ()
    """Empty without splits."""


class Selection:
    """Sequences that a query selects from a version of a dataset, by video and shot."""

    def __init__(self, dataset: "DatasetSnapshot", query: Query) -> None:
        """Run the query.

        Raises ConfigError for SQL that DuckDB refuses, and for a split by an unknown column.
        """
        self._rows = _fit(dataset, query, _select(dataset, query))
        self._split = query.split

    def __len__(self) -> int:
        """Return the number of sequences."""
        return sum(1 for _ in self)

    @cached_property
    def contents(self) -> Contents:
        """Names of the labels and splits that were selected."""
        labels = {label for label in self._rows["label"].unique().to_pylist() if label is not None}
        splits = {ref.split for ref in self if ref.split is not None} if self._split else set()
        return Contents(labels=tuple(sorted(labels)), splits=tuple(sorted(splits)))

    def __iter__(self) -> Iterator[SequenceRef]:
        for key, rows in groupby(
            self._records(), key=lambda row: (row["video_id"], row["shot_id"])
        ):
            yield self._ref(*key, list(rows))

    def _records(self) -> Iterator[Mapping[str, Any]]:
        for batch in self._rows.to_batches(max_chunksize=1024):
            yield from batch.to_pylist()

    def _ref(
        self, video_id: str, shot_id: str | None, rows: Sequence[Mapping[str, Any]]
    ) -> SequenceRef:
        first = rows[0]
        shot = first["shot_index"] if first["num_shots"] > 1 else None
        return SequenceRef(
            name=sequence_name(video_id, shot),
            video_id=video_id,
            shot_id=shot_id,
            masklet_ids=tuple(row["masklet_id"] for row in rows if row["masklet_id"] is not None),
            split=self._split.name_of(first["split_group"] or video_id) if self._split else None,
        )


def sequence_name(video_id: str, shot_index: int | None) -> str:
    """Return `<video>`, or `<video>_s0003` in a video of several shots.

    Characters that names of files cannot have in every store become `_`, with a hash behind, so
    that names stay different.
    """
    safe = _NOT_IN_NAMES.sub("_", video_id)[:_MAX_NAME_CHARS].lstrip("-") or "video"
    name = safe if safe == video_id else f"{safe}-{digest(video_id, 8)}"
    return name if shot_index is None else f"{name}_s{shot_index:04d}"


def _select(dataset: "DatasetSnapshot", query: Query) -> "pa.Table":
    import duckdb

    connection = dataset.duckdb()
    lock(connection)
    conditions = [as_condition(connection, query.where)] if query.where else []
    if query.verdicts:
        conditions.append("(masklets.masklet_id IS NULL OR masklets.verdict IN $verdicts)")
    if not query.negatives:
        conditions.append("masklets.masklet_id IS NOT NULL")
    split = "NULL"
    if query.split and query.split.column:
        split = "videos.attributes[$column]"
    sql = _SELECT.format(joined=JOINED, where=" AND ".join(conditions) or "TRUE", split=split)
    values = {"verdicts": list(query.verdicts), "column": query.split and query.split.column}
    used = {name: value for name, value in values.items() if f"${name}" in sql}
    try:
        rows = connection.sql(sql, params=used).to_arrow_table()
    except duckdb.DataError as error:
        raise refused(query.where or "", error) from None
    if query.split and query.split.column and not _any(rows, "split_group"):
        raise ConfigError(
            f"--split-by must be a manifest column of the selected videos, got "
            f"{query.split.column!r}, which none of them has"
        )
    return rows


def _fit(dataset: "DatasetSnapshot", query: Query, rows: "pa.Table") -> "pa.Table":
    """Return the rows of masklets that are fit, and of videos without any."""
    if query.fit is None:
        return rows
    import pyarrow as pa
    import pyarrow.compute as pc

    found = dataset.fitness(query.fit)
    fit_ids = pa.array(
        [row.masklet_id for row in found if row.fitness.verdict == "fit"], pa.string()
    )
    ids = rows["masklet_id"]
    return rows.filter(pc.or_(pc.is_in(ids, fit_ids), pc.is_null(ids)))


def _any(rows: "pa.Table", column: str) -> bool:
    values = rows[column]
    return not len(values) or values.null_count < len(values)
