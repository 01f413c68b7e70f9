"""Scores of a sequence's objects: masks of its masklets compared with the true ones."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pvtt_flow.errors import ConfigError
from pvtt_flow.evaluate.counts import Counts, count_frames
from pvtt_flow.evaluate.match import MatchedBy, Matching, match
from pvtt_flow.evaluate.measures import Mask, boundary_iou, contour_accuracy, region_similarity
from pvtt_flow.evaluate.track import Track, tracks_of
from pvtt_flow.evaluate.truth import TrueFrame, TrueSequence
from pvtt_flow.types import Masklet


@dataclass(frozen=True)
class ObjectScores:
    """Measures of one object on the frames that count."""

    sequence: str
    object_id: int
    masklet_ids: tuple[str, ...]
    """Masklets that were taken for it, at most one a shot."""
    j: NDArray[np.float64]
    """float64 (T,), region similarity."""
    f: NDArray[np.float64]
    """float64 (T,), contour accuracy."""
    boundary_iou: NDArray[np.float64]
    """float64 (T,)"""
    counts: Counts


@dataclass(frozen=True)
class SequenceScores:
    """Scores of the objects of one sequence."""

    sequence: str
    matched_by: MatchedBy
    objects: tuple[ObjectScores, ...]
    num_left_out: int
    """Annotated frames that sampling did not take."""


@dataclass(frozen=True)
class _Frame:
    """Measures of one object on one frame, and whether it is there, shown, and overlapped."""

    measures: tuple[float, float, float]
    facts: tuple[bool, bool, bool]


def score_sequence(truth: TrueSequence, masklets: Sequence[Masklet]) -> SequenceScores:
    """Compare the masklets of a video with the truth.

    The first and the last annotated frame do not count. An object that is on the first one counts
    on all others; another one from the frame on that first shows it, or a mask of it. The first is
    DAVIS 2017's rule, the second that of SA-V's evaluator (facebookresearch/sam2,
    sav_benchmark.py), which has it for every object. A frame without a masklet counts with an
    empty mask; one that sampling left out does not count.

    Raises ConfigError if sizes differ, or if sampling left out every annotated frame.
    """
    tracks = tracks_of(masklets)
    annotated = truth.frame_indices
    taken = [index for index in annotated if not any(track.skips(index) for track in tracks)]
    if not taken:
        raise ConfigError(
            f"{truth.name}: at least one annotated frame must have been processed, but sampling "
            f"left out all {len(annotated)}; process all frames (`sampling.stride: 1`)"
        )
    matching = match(truth, taken, tracks)
    counted = [index for index in taken if index not in (annotated[0], annotated[-1])]
    at_start = [] if truth.is_by_object else list(truth.read(annotated[0]).masks)
    objects = _score_objects(truth, counted, matching, at_start)
    return SequenceScores(truth.name, matching.by, objects, len(annotated) - len(taken))


def _score_objects(
    truth: TrueSequence, counted: Sequence[int], matching: Matching, at_start: Sequence[int]
) -> tuple[ObjectScores, ...]:
    frames: dict[int, list[_Frame]] = {number: [] for number in at_start}
    true_ones = set(at_start)
    for index in counted:
        true = truth.read(index)
        shown = {number: _shown(matching.of(number), index, true) for number in matching.tracks}
        there = {number for number, mask in true.masks.items() if mask.any()}
        true_ones |= there
        for number in frames.keys() | there | {n for n, mask in shown.items() if mask.any()}:
            mask = shown.get(number, np.zeros(true.size_px, np.bool_))
            frames.setdefault(number, []).append(_compare(mask, true.of(number)))
    return tuple(
        _object(truth.name, number, matching.of(number), frames[number])
        for number in sorted(true_ones)
    )


def _shown(tracks: Sequence[Track], index: int, true: TrueFrame) -> Mask:
    """Return what the tracks of an object show on a frame."""
    mask = np.zeros(true.size_px, np.bool_)
    for track in tracks:
        mask |= track.mask(index, true.size_px)
    return mask


def _compare(mask: Mask, true: Mask) -> _Frame:
    measures = (region_similarity, contour_accuracy, boundary_iou)
    j, f, boundary = (float(measure(mask[None], true[None])[0]) for measure in measures)
    facts = bool(true.any()), bool(mask.any()), bool((mask & true).any())
    return _Frame((j, f, boundary), facts)


def _object(
    sequence: str, number: int, tracks: Sequence[Track], frames: Sequence[_Frame]
) -> ObjectScores:
    j, f, boundary = np.array([frame.measures for frame in frames]).reshape(-1, 3).T
    facts = np.array([frame.facts for frame in frames], np.bool_).reshape(-1, 3).T
    ids = tuple(track.masklet.masklet_id for track in tracks)
    return ObjectScores(sequence, number, ids, j, f, boundary, count_frames(*facts))
