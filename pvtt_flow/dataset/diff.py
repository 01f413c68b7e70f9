"""Differences between two versions of a dataset."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from statistics import fmean
from typing import Any

import pyarrow.dataset as ds

from pvtt_flow.core import rle
from pvtt_flow.dataset.damage import naming_damage
from pvtt_flow.dataset.queries import masklets_of
from pvtt_flow.dataset.snapshot import Snapshot
from pvtt_flow.types import Masklet

# Number of videos whose masks are in memory at one time.
_CHUNK = 64
_VIDEO_COLUMNS = ["video_id", "uri", "etag", "size_bytes", "work_key", "status"]
# Older versions lack it: the etag of the content, if the file was touched since.
_PROCESSED_ETAG = "processed_etag"
Changes = Counter[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Differences from one version to another; videos are given by their uri."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]
    """Videos in both versions, with other content."""
    recomputed: tuple[str, ...]
    """Videos in both versions, with equal content and results of other settings or weights."""
    statuses: Changes
    """Number of videos in both whose status changed, by the status before and after."""
    verdicts: Changes
    """Number of masklets in both whose verdict changed, by the verdict before and after."""
    num_masklets_added: int
    num_masklets_removed: int
    mean_mask_iou: float | None
    """Mean over the recomputed videos' frames that a masklet has in both versions; two empty masks
    have IoU 1. None if there are no such frames, or masks were not compared."""


def diff(old: Snapshot, new: Snapshot, *, with_masks: bool = True) -> Difference:
    """Compare a version of a dataset with a later one.

    Without masks, only a few columns are read.
    """
    old_rows, new_rows = _videos(old), _videos(new)
    both = old_rows.keys() & new_rows.keys()
    changed = {i for i in both if _content(old_rows[i]) != _content(new_rows[i])}
    recomputed = {i for i in both - changed if old_rows[i]["work_key"] != new_rows[i]["work_key"]}
    old_verdicts, new_verdicts = _verdicts(old), _verdicts(new)
    ious = list(_ious(old, new, sorted(recomputed))) if with_masks else []
    return Difference(
        added=_uris(new_rows, new_rows.keys() - old_rows.keys()),
        removed=_uris(old_rows, old_rows.keys() - new_rows.keys()),
        changed=_uris(new_rows, changed),
        recomputed=_uris(new_rows, recomputed),
        statuses=_changes(_column(old_rows, "status"), _column(new_rows, "status")),
        verdicts=_changes(old_verdicts, new_verdicts),
        num_masklets_added=len(new_verdicts.keys() - old_verdicts.keys()),
        num_masklets_removed=len(old_verdicts.keys() - new_verdicts.keys()),
        mean_mask_iou=fmean(ious) if ious else None,
    )


def list_verdict_changes(old: Snapshot, new: Snapshot) -> dict[str, tuple[str, str]]:
    """Return the verdicts before and after of each masklet in both whose verdict changed, by id."""
    before, after = _verdicts(old), _verdicts(new)
    both = sorted(before.keys() & after.keys())
    return {i: (before[i], after[i]) for i in both if before[i] != after[i]}


def _videos(snapshot: Snapshot) -> dict[str, dict[str, Any]]:
    table = snapshot.scan_videos()
    columns = [*_VIDEO_COLUMNS, *({_PROCESSED_ETAG} & set(table.schema.names))]
    return {row["video_id"]: row for row in _rows(table, columns)}


def _verdicts(snapshot: Snapshot) -> dict[str, str]:
    rows = _rows(snapshot.scan_masklets(), ["masklet_id", "verdict"])
    return {row["masklet_id"]: str(row["verdict"]) for row in rows}


def _rows(table: ds.Dataset, columns: Sequence[str]) -> list[dict[str, Any]]:
    with naming_damage(table.get_fragments(), columns):
        rows: list[dict[str, Any]] = table.to_table(columns=list(columns)).to_pylist()
    return rows


def _content(row: Mapping[str, Any]) -> tuple[str, int]:
    return row.get(_PROCESSED_ETAG) or row["etag"], row["size_bytes"]


def _column(rows: Mapping[str, Mapping[str, Any]], name: str) -> dict[str, str]:
    return {key: row[name] for key, row in rows.items()}


def _uris(rows: Mapping[str, Mapping[str, Any]], ids: Collection[str]) -> tuple[str, ...]:
    return tuple(sorted(rows[i]["uri"] for i in ids))


def _changes(before: Mapping[str, str], after: Mapping[str, str]) -> Changes:
    both = before.keys() & after.keys()
    return Counter((before[i], after[i]) for i in both if before[i] != after[i])


def _ious(old: Snapshot, new: Snapshot, video_ids: Sequence[str]) -> Iterator[float]:
    old_table, new_table = old.scan_masklets(), new.scan_masklets()
    remaining = iter(video_ids)
    while ids := list(islice(remaining, _CHUNK)):
        old_rows = {masklet.masklet_id: masklet for masklet in masklets_of(old_table, ids)}
        for masklet in masklets_of(new_table, ids):
            if masklet.masklet_id in old_rows:
                yield from _frame_ious(old_rows[masklet.masklet_id], masklet)


def _frame_ious(old: Masklet, new: Masklet) -> Iterator[float]:
    if (old.height_px, old.width_px) != (new.height_px, new.width_px):
        return
    old_rows = {frame.frame_index: frame.rle for frame in old.frames}
    for frame in new.frames:
        if frame.frame_index in old_rows:
            size = new.height_px, new.width_px
            yield rle.iou(old_rows[frame.frame_index], frame.rle, *size)
