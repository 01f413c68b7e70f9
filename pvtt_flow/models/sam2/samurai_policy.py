"""SAMURAI's memory policy (https://arxiv.org/abs/2411.11922): good frames by three scores.

A frame is good if the object is present, its predicted IoU is above 0.5 and its motion score is
above 0, where there is one: the IoU of its box with the box that a Kalman filter predicts, which
counts once 15 frames in a row were reliable (yangchris11/samurai, sam2/modeling/sam2_base.py,
`_prepare_memory_conditioned_features` and `_forward_sam_heads`). The latest frame is read in any
case. The fold remembers what the source finds by a search backward through all frames.

Left out: SAMURAI also lets the motion choose among the decoder's candidate masks, and takes an
object as present from a score of -1 on; here masks are those of SAM 2. A frame without a mask
restarts the filter.
"""

from dataclasses import dataclass

import numpy as np

from pvtt_flow.core import boxes, rle
from pvtt_flow.models.sam2.box_motion import BoxMotion, start_motion
from pvtt_flow.models.sam2.memory_policy import Gated, MemoryPolicy, latest
from pvtt_flow.models.sam2.observation import Observation, Reads

_MIN_IOU = 0.5
_MIN_RELIABLE_IOU = 0.3
_MIN_RELIABLE_FRAMES = 15


@dataclass(frozen=True, slots=True)
class _Past(Gated):
    motion: BoxMotion | None = None
    """Motion of the box while it is reliable."""
    num_reliable: int = 0
    """Frames in a row, up to the latest one, that the motion follows."""


class SamuraiPolicy(MemoryPolicy):
    """See the module's docstring."""

    reads = Reads.MASKS
    start = _Past()

    def remember(self, past: _Past, position: int, seen: Observation) -> _Past:
        """See `MemoryPolicy.remember`."""
        box = rle.box_of(seen.masks[0])
        motion, motion_score = _follow(past, box, seen.predicted_iou)
        return _Past(
            latest((*past.good(past.memories), position), self.num_memories),
            latest((*past.pointers, position), self.num_pointers),
            latest_is_good=seen.object_score > 0
            and seen.predicted_iou > _MIN_IOU
            and motion_score > 0,
            motion=motion,
            num_reliable=0 if motion is None else past.num_reliable + 1,
        )


def _follow(
    past: _Past, box: tuple[int, int, int, int] | None, predicted_iou: float
) -> tuple[BoxMotion | None, float]:
    """Return the motion with this box, and the motion score; 1 where there is none."""
    if past.motion is None:
        return (None if box is None else start_motion(box)), 1.0
    predicted = past.motion.predict()
    score = 1.0
    if past.num_reliable >= _MIN_RELIABLE_FRAMES:
        score = 0.0 if box is None else _iou(predicted, box)
    if box is None or predicted_iou <= _MIN_RELIABLE_IOU:
        return None, score
    return predicted.update(box), score


def _iou(motion: BoxMotion, box: tuple[int, int, int, int]) -> float:
    return float(boxes.iou(motion.box_xyxy[None], np.array([box], np.float64))[0, 0])
