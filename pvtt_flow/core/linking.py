"""Linking of detections on one frame after the other: the same object keeps its number.

After ByteTrack (Zhang et al., "Multi-object tracking by associating every detection box", 2022):
one-to-one assignments, of sure detections first and then of the others, which continue a
track but start none. Frames are far apart here, so that boxes are compared by GIoU (Rezatofighi et
al., "Generalized intersection over union", 2019) and colors, and no motion is foretold.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from pvtt_flow.core import boxes
from pvtt_flow.core.appearance import Histogram, color_distance

# Least similarity of two detections of one object: a neighbor with about equal colors, or one
# elsewhere with the same.
_MIN_SIMILARITY = 0.5


@dataclass(frozen=True, slots=True)
class Candidate:
    """Detection to link."""

    box_xyxy: tuple[float, ...]
    colors: Histogram | None
    """Histogram of `appearance.colors_of`."""
    is_sure: bool
    """True if it may start a track."""


def link(frames: Iterable[Sequence[Candidate]]) -> list[list[int | None]]:
    """Return the track of each detection on each frame; None for an unsure one that continues none.

    Tracks count from 0, by their first frame and the order on it.
    """
    last: list[Candidate] = []  # of each track
    linked = []
    for found in frames:
        tracks: list[int | None] = [None] * len(found)
        for is_sure in (True, False):
            open_tracks = [t for t in range(len(last)) if t not in tracks]
            places = [p for p, each in enumerate(found) if each.is_sure == is_sure]
            for track, place in _assign(last, open_tracks, found, places):
                tracks[place] = track
        for place, each in enumerate(found):
            if tracks[place] is None and each.is_sure:
                tracks[place] = len(last)
                last.append(each)
            elif (track_of := tracks[place]) is not None:
                last[track_of] = each
        linked.append(tracks)
    return linked


def similarity(a: Candidate, b: Candidate) -> float:
    """Return the similarity of two detections in [0, 1]: of their boxes and their colors."""
    both = (np.array([each.box_xyxy], np.float64) for each in (a, b))
    near = (float(boxes.generalized_iou(*both)[0, 0]) + 1) / 2
    if a.colors is None or b.colors is None:
        return near
    return (near + 1 - color_distance(a.colors, b.colors)) / 2


def _assign(
    last: Sequence[Candidate],
    tracks: Sequence[int],
    found: Sequence[Candidate],
    places: Sequence[int],
) -> list[tuple[int, int]]:
    """Return pairs of a track and a place that are similar, no one twice."""
    if not tracks or not places:
        return []
    alike: NDArray[np.float64] = np.array(
        [[similarity(last[t], found[p]) for p in places] for t in tracks]
    )
    rows, columns = linear_sum_assignment(alike, maximize=True)
    return [
        (tracks[r], places[c])
        for r, c in zip(rows, columns, strict=True)
        if alike[r, c] >= _MIN_SIMILARITY
    ]
