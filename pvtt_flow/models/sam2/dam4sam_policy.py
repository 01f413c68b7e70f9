"""DAM4SAM's memory policy (https://arxiv.org/abs/2411.17576): recent appearance, and distractors.

Of frames on which the object is seen it remembers the latest one, each fifth, and up to three
anchors that resolve a distractor: confident, stable frames on which the decoder had another
candidate mask elsewhere. The anchors are read as prompted frames are, and take the places of fifth
frames (jovanavidenovic/DAM4SAM, dam4sam_tracker.py, `track`; sam2/modeling/sam2_base.py,
`_prepare_memory_conditioned_features`). Frames without the object are not remembered at all.

Left out: the source reads at most four prompted frames and anchors together, here the prompted
frames do not count; it works at the video's size, here at that of the decoder's masks; it drops an
anchor from the latest frames one frame earlier where the object is lost right after it.
"""

from dataclasses import dataclass
from statistics import median

import cv2
import numpy as np
from numpy.typing import NDArray

from pvtt_flow.core import rle
from pvtt_flow.models.sam2.memory_policy import MemoryPolicy, Remembered, latest
from pvtt_flow.models.sam2.observation import Observation, Reads

_STRIDE = 5
_MIN_IOU = 0.8
_AREA_RATIOS = 0.8, 1.2
_NUM_AREAS = 10
_MIN_GAP = 5
_MAX_BOX_IOU = 0.7


@dataclass(frozen=True, slots=True)
class _Past(Remembered):
    fifths: tuple[int, ...] = ()
    seen: tuple[int, ...] = ()
    """Latest frames with the object, oldest first, of which pointers are kept."""
    areas: tuple[int, ...] = ()
    """Areas of the object on the latest of them, in pixels of the decoder's masks."""
    latest_is_anchor: bool = False
    """True if the latest frame becomes an anchor when the next one comes."""


class Dam4SamPolicy(MemoryPolicy):
    """See the module's docstring."""

    reads = Reads.ALTERNATIVES
    max_anchors = 3
    start = _Past()

    def remember(self, past: _Past, position: int, seen: Observation) -> _Past:
        """See `MemoryPolicy.remember`."""
        area = int(np.count_nonzero(seen.masks[0]))
        if not area:
            return past
        anchors, fifths = self._settle(past)
        areas = latest((*past.areas, area), _NUM_AREAS)
        positions = latest((*past.seen, position), self.num_pointers)
        return _Past(
            memories=(*anchors, *fifths, position),
            pointers=(*(a for a in anchors if a not in positions), *positions),
            anchors=anchors,
            fifths=fifths,
            seen=positions,
            areas=areas,
            latest_is_anchor=_is_stable(areas, seen)
            and _is_far(position, past)
            and _has_distractor(seen.masks),
        )

    def _settle(self, past: _Past) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return the anchors and fifth frames once the latest frame is no longer the latest."""
        anchors, fifths = past.anchors, past.fifths
        if past.latest_is_anchor:
            room = min(self.max_anchors, self.num_memories - 1)
            anchors = latest((*anchors, past.seen[-1]), room)
        elif past.seen and past.seen[-1] % _STRIDE == 0:
            fifths = (*fifths, past.seen[-1])
        return anchors, latest(fifths, self.num_memories - 1 - len(anchors))


def _is_stable(areas: tuple[int, ...], seen: Observation) -> bool:
    low, high = _AREA_RATIOS
    ratio = areas[-1] / median(areas)
    return seen.predicted_iou > _MIN_IOU and len(areas) > 1 and low <= ratio <= high


def _is_far(position: int, past: _Past) -> bool:
    """Return whether the last anchor is long ago."""
    anchors = (*past.anchors, past.seen[-1]) if past.latest_is_anchor else past.anchors
    return not anchors or abs(position - anchors[-1]) > _MIN_GAP


def _has_distractor(masks: NDArray[np.bool_]) -> bool:
    """Return whether another candidate has a large part outside of the predicted mask, masks[0].

    That part, its largest component, must make the object's box larger than the object's own by
    far: their IoU is at most 0.7.
    """
    chosen = masks[0]
    others = [other & ~chosen for other in masks[1:]]
    return any(
        _box_area(chosen) <= _MAX_BOX_IOU * _box_area(chosen | _largest_component(other))
        for other in others
        if other.any()
    )


def _box_area(mask: NDArray[np.bool_]) -> int:
    x0, y0, x1, y1 = rle.box_of(mask) or (0, 0, 0, 0)
    return (x1 - x0) * (y1 - y0)


def _largest_component(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    largest: NDArray[np.bool_] = labels == 1 + stats[1:, cv2.CC_STAT_AREA].argmax()
    return largest
