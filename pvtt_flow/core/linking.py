"""Linking of detections on one frame after the other: the same object keeps its number.

After ByteTrack (Zhang et al., "Multi-object tracking by associating every detection box", 2022):
one-to-one assignments, of sure detections first and then of the others, which continue a
track but start none. Frames are far apart here, so that boxes are compared by GIoU (Rezatofighi et
al., "Generalized intersection over union", 2019) and colors, and no motion is foretold.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from pvtt_flow.core import boxes
from pvtt_flow.core.appearance import NUM_BINS, Histogram

# Least similarity of two detections of one object: a neighbor with about equal colors, or one
# elsewhere with the same.
_MIN_SIMILARITY = 0.5
# Frames after which an object that is away is forgotten, and would be another one.
_MAX_AWAY = 100


@dataclass(frozen=True, slots=True)
class Candidate:
    """Detection to link."""

    box_xyxy: tuple[float, ...]
    colors: Histogram | None
    """Histogram of `appearance.colors_of`; None if nothing is known of them."""
    is_sure: bool
    """True if it may start a track."""


@dataclass(frozen=True, slots=True)
class _Track:
    number: int
    last: Candidate
    seen_at: int
    """Number of the frame."""


class Linker:
    """Tracks of the detections so far; frames must come in order."""

    def __init__(self) -> None:
        self._tracks: dict[int, _Track] = {}
        self._num_tracks = 0
        self._num_frames = 0

    def step(self, found: Sequence[Candidate]) -> list[int | None]:
        """Return the track of each detection on the next frame.

        Tracks count from 0, by their first frame and the order on it; None for an unsure detection
        that continues none.
        """
        tracks: list[int | None] = [None] * len(found)
        for is_sure in (True, False):
            free = [track for number, track in self._tracks.items() if number not in tracks]
            places = [place for place, each in enumerate(found) if each.is_sure == is_sure]
            for track, place in _assign(free, [found[place] for place in places]):
                tracks[places[place]] = free[track].number
        for place, each in enumerate(found):
            if tracks[place] is None and each.is_sure:
                tracks[place], self._num_tracks = self._num_tracks, self._num_tracks + 1
        self._remember(found, tracks)
        return tracks

    def _remember(self, found: Sequence[Candidate], tracks: Sequence[int | None]) -> None:
        for each, number in zip(found, tracks, strict=True):
            if number is not None:
                self._tracks[number] = _Track(number, each, self._num_frames)
        self._num_frames += 1
        self._tracks = {
            number: track
            for number, track in self._tracks.items()
            if self._num_frames - track.seen_at <= _MAX_AWAY
        }


def similarities(a: Sequence[Candidate], b: Sequence[Candidate]) -> NDArray[np.float64]:
    """Return the similarity of each pair in [0, 1], (N, M): of their boxes and their colors.

    Boxes alone count where one has no colors.
    """
    near = (boxes.generalized_iou(_boxes(a), _boxes(b)) + 1) / 2
    # 1 less the Hellinger distance, as `appearance.color_distance`.
    shared = np.clip(_roots(a) @ _roots(b).T, 0, 1)
    like = 1 - np.sqrt(1 - shared)
    known = np.outer([c.colors is not None for c in a], [c.colors is not None for c in b])
    return np.where(known, (near + like) / 2, near)


def _boxes(candidates: Sequence[Candidate]) -> boxes.Boxes:
    return np.array([each.box_xyxy for each in candidates], np.float64).reshape(-1, 4)


def _roots(candidates: Sequence[Candidate]) -> NDArray[np.float64]:
    """Return the square roots of the histograms, (N, bins); zeros for unknown colors."""
    roots = np.zeros((len(candidates), NUM_BINS))
    for root, each in zip(roots, candidates, strict=True):
        if each.colors is not None:
            root[:] = np.sqrt(each.colors)
    return roots


def _assign(tracks: Sequence[_Track], found: Sequence[Candidate]) -> list[tuple[int, int]]:
    """Return places of tracks and of detections that are similar, no one twice."""
    if not tracks or not found:
        return []
    alike = similarities([track.last for track in tracks], found)
    rows, columns = linear_sum_assignment(alike, maximize=True)
    return [
        (int(row), int(column))
        for row, column in zip(rows, columns, strict=True)
        if alike[row, column] >= _MIN_SIMILARITY
    ]
