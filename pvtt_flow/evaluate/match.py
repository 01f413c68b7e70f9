"""Choose the masklets that are of a true object: by its number, or by their overlap."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from pvtt_flow.evaluate.measures import Mask
from pvtt_flow.evaluate.track import Track
from pvtt_flow.evaluate.truth import TrueSequence

MatchedBy = Literal["object_id", "overlap"]


@dataclass(frozen=True)
class Matching:
    """Tracks of each true object, at most one a shot."""

    by: MatchedBy
    tracks: Mapping[int, tuple[Track, ...]]

    def of(self, object_id: int) -> tuple[Track, ...]:
        """Return the tracks of an object, in the order of their shots."""
        return self.tracks.get(object_id, ())


def match(truth: TrueSequence, frames: Sequence[int], tracks: Sequence[Track]) -> Matching:
    """Match tracks to true objects by what these annotated frames show.

    Prompts of a manifest say which object is which: their `object_id` is the number in the truth.
    Detected products have numbers of their own: in each shot, pairs are chosen one to one, by the
    largest sum of their IoU over the frames. A track that overlaps with no object stays without.
    """
    if all(p.origin == "manifest" for track in tracks for p in track.masklet.prompts):
        return Matching("object_id", _grouped((t.masklet.object_id, t) for t in tracks))
    pairs: list[tuple[int, Track]] = []
    for _, shot in groupby(tracks, key=lambda track: track.masklet.shot_index):
        pairs += _assign(truth, frames, list(shot))
    return Matching("overlap", _grouped(pairs))


def _grouped(pairs: Iterable[tuple[int, Track]]) -> dict[int, tuple[Track, ...]]:
    grouped: dict[int, tuple[Track, ...]] = {}
    for object_id, track in pairs:
        grouped[object_id] = (*grouped.get(object_id, ()), track)
    return grouped


def _assign(
    truth: TrueSequence, frames: Sequence[int], tracks: list[Track]
) -> list[tuple[int, Track]]:
    """Assign the tracks of one shot to objects."""
    sums: dict[int, NDArray[np.float64]] = {}
    for index in frames:
        if not tracks[0].covers(index):
            continue
        frame = truth.read(index)
        shown = [track.mask(index, frame.size_px) for track in tracks]
        for object_id, true in frame.masks.items():
            overlap = np.array([_iou(mask, true) for mask in shown])
            sums[object_id] = sums.get(object_id, np.zeros(len(tracks))) + overlap
    if not sums:
        return []
    objects, table = sorted(sums), np.stack([sums[object_id] for object_id in sorted(sums)])
    rows, columns = linear_sum_assignment(table, maximize=True)
    return [
        (objects[row], tracks[column])
        for row, column in zip(rows, columns, strict=True)
        if table[row, column] > 0
    ]


def _iou(mask: Mask, true: Mask) -> float:
    """Return the IoU, 0 of two empty masks: what both leave out says not that they are of one."""
    return float((mask & true).sum() / max(1, (mask | true).sum()))
