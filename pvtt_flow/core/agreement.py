"""Agreement of tracked masks with what the detector sees on frames that it searches again."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np

from pvtt_flow.core import boxes
from pvtt_flow.types import Masklet, MaskletFrame, Sighting


def with_detector_iou(
    masklet: Masklet, searched: Collection[int], sightings: Sequence[Sighting]
) -> Masklet:
    """Return the masklet with the overlap of its boxes and detected ones, on frames searched.

    `searched` are indices of frames; frames without a sighting saw nothing.
    """
    if not searched:
        return masklet
    known, seen = set(searched), _boxes_by_frame(sightings)
    return replace(
        masklet,
        frames=tuple(
            replace(frame, detector_iou=_best_iou(frame, seen.get(frame.frame_index, [])))
            if frame.frame_index in known
            else frame
            for frame in masklet.frames
        ),
    )


def mean_agreement(
    frames: Sequence[MaskletFrame], sightings: Mapping[int, Sequence[Sighting]]
) -> float | None:
    """Return the mean overlap of masks' boxes and detected ones, on frames where something is seen.

    `sightings` are by frame. A missing mask overlaps nothing. None if nothing is seen on any frame.
    """
    overlaps = [
        _best_iou(frame, [sighting.box_xyxy for sighting in seen]) or 0.0
        for frame in frames
        if (seen := sightings.get(frame.frame_index))
    ]
    return sum(overlaps) / len(overlaps) if overlaps else None


def _boxes_by_frame(sightings: Sequence[Sighting]) -> dict[int, list[tuple[float, ...]]]:
    found: dict[int, list[tuple[float, ...]]] = {}
    for sighting in sightings:
        found.setdefault(sighting.frame_index, []).append(sighting.box_xyxy)
    return found


def _best_iou(frame: MaskletFrame, seen: Sequence[tuple[float, ...]]) -> float | None:
    if frame.box_xyxy is None:
        return None
    if not seen:
        return 0.0
    own = np.array([frame.box_xyxy], np.float64)
    return float(boxes.iou(own, np.array(seen, np.float64)).max())
