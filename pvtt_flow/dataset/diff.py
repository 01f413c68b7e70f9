"""What is different between two versions of a dataset."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from statistics import fmean
from typing import Any

from pvtt_flow.core import rle
from pvtt_flow.dataset.dataset import Dataset
from pvtt_flow.dataset.queries import masklets_of
from pvtt_flow.types import Masklet

# Masks of so many videos are in memory at one time.
_CHUNK = 64
_VIDEO_COLUMNS = ["video_id", "uri", "etag", "size_bytes", "work_key", "status"]
Changes = Counter[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """From one version to another; videos by their uri."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]
    """In both, with other content."""
    recomputed: tuple[str, ...]
    """In both, with the same content and results of other settings, weights or prompts."""
    statuses: Changes
    """Videos in both whose status changed, by the one before and the one after."""
    verdicts: Changes
    """Masklets in both whose verdict changed, likewise."""
    num_masklets_added: int
    num_masklets_removed: int
    mean_mask_iou: float | None
    """Of the recomputed videos, over the frames that a masklet has in both versions; two empty
    masks agree. Null when there are none."""


def diff(uri: str, before: int, after: int) -> Difference:
    """From version `before` to version `after`."""
    old, new = Dataset(uri, before), Dataset(uri, after)
    olds, news = _videos(old), _videos(new)
    both = olds.keys() & news.keys()
    changed = {i for i in both if _content(olds[i]) != _content(news[i])}
    recomputed = {i for i in both - changed if olds[i]["work_key"] != news[i]["work_key"]}
    old_verdicts, new_verdicts = _verdicts(old), _verdicts(new)
    ious = list(_ious(old, new, sorted(recomputed)))
    return Difference(
        added=_uris(news, news.keys() - olds.keys()),
        removed=_uris(olds, olds.keys() - news.keys()),
        changed=_uris(news, changed),
        recomputed=_uris(news, recomputed),
        statuses=_changes(_column(olds, "status"), _column(news, "status")),
        verdicts=_changes(old_verdicts, new_verdicts),
        num_masklets_added=len(new_verdicts.keys() - old_verdicts.keys()),
        num_masklets_removed=len(old_verdicts.keys() - new_verdicts.keys()),
        mean_mask_iou=fmean(ious) if ious else None,
    )


def _videos(dataset: Dataset) -> dict[str, dict[str, Any]]:
    rows = dataset.videos().to_table(columns=_VIDEO_COLUMNS).to_pylist()
    return {row["video_id"]: row for row in rows}


def _verdicts(dataset: Dataset) -> dict[str, str]:
    rows = dataset.masklets().to_table(columns=["masklet_id", "verdict"]).to_pylist()
    return {row["masklet_id"]: str(row["verdict"]) for row in rows}


def _content(row: Mapping[str, Any]) -> tuple[str, int]:
    return row["etag"], row["size_bytes"]


def _column(rows: Mapping[str, Mapping[str, Any]], name: str) -> dict[str, str]:
    return {key: row[name] for key, row in rows.items()}


def _uris(rows: Mapping[str, Mapping[str, Any]], ids: Collection[str]) -> tuple[str, ...]:
    return tuple(sorted(rows[i]["uri"] for i in ids))


def _changes(before: Mapping[str, str], after: Mapping[str, str]) -> Changes:
    both = before.keys() & after.keys()
    return Counter((before[i], after[i]) for i in both if before[i] != after[i])


def _ious(old: Dataset, new: Dataset, video_ids: Sequence[str]) -> Iterator[float]:
    remaining = iter(video_ids)
    while ids := list(islice(remaining, _CHUNK)):
        olds = {masklet.masklet_id: masklet for masklet in masklets_of(old, ids)}
        for masklet in masklets_of(new, ids):
            if masklet.masklet_id in olds:
                yield from _frame_ious(olds[masklet.masklet_id], masklet)


def _frame_ious(old: Masklet, new: Masklet) -> Iterator[float]:
    if (old.height_px, old.width_px) != (new.height_px, new.width_px):
        return
    olds = {frame.frame_index: frame.rle for frame in old.frames}
    for frame in new.frames:
        if frame.frame_index in olds:
            size = new.height_px, new.width_px
            yield rle.iou(olds[frame.frame_index], frame.rle, *size)
