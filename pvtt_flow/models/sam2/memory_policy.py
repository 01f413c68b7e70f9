"""Memory policy: which of the frames that an object was tracked to are remembered.

Prompted and corrected frames are always remembered; a policy chooses among the others. It says
after each frame which of the frames before it, and whether the new one, are kept, and so can be
read later: at most as many as SAM 2 reads, so that memory stays constant.

    policy       memories (6 frames)                object pointers (15 frames)  read on the host
    sam2         the latest                         the latest                   nothing
    score_gated  the latest good ones, the latest   the same                     scores
    samurai      the latest good ones, the latest   the latest                   scores, mask
    dam4sam      the latest with the object, each   the latest with the object   scores, all masks
                 fifth, those with a distractor

Where frames are left out, a memory's temporal position is its rank from the latest one, as in the
sources of these policies; SAM 2's is its age. What is read on the host makes each step wait for the
device.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from pvtt_flow.models.sam2.observation import Observation, Reads

# SAM 3's `mf_threshold`.
_MIN_SCORE = 0.01


@dataclass(frozen=True, slots=True)
class Remembered:
    """Frames of an object that are kept, by position."""

    memories: tuple[int, ...] = ()
    """Frames whose memories are kept."""
    pointers: tuple[int, ...] = ()
    """Frames whose object pointers are kept."""
    anchors: tuple[int, ...] = ()
    """Frames among them that are read as prompted ones are: at any age, without a temporal
    position."""


class MemoryPolicy(ABC):
    """Policy; subclasses may extend `Remembered` with what else they need to know."""

    reads: ClassVar[Reads] = Reads.NOTHING
    ranks_memories: ClassVar[bool] = True
    """True if a memory's temporal position is its rank instead of its age."""
    ranks_pointers: ClassVar[bool] = False
    """True if an object pointer's distance is its rank instead of its age."""
    max_anchors: ClassVar[int] = 0
    start: ClassVar[Remembered] = Remembered()
    """Frames that are remembered before the first one: none."""

    def __init__(self, num_memories: int, num_pointers: int) -> None:
        """Take the largest numbers of memories and of pointers, each without anchors' pointers."""
        self.num_memories = num_memories
        self.num_pointers = num_pointers

    @abstractmethod
    def remember(self, past: Any, position: int, seen: Observation) -> Remembered:
        """Return what is remembered after the frame at `position`, given what was before it.

        `past` is the last result, or `start`. Frames come in the order of the pass, backward ones
        in descending order; frames that are prompted or corrected are left out.
        """


class Sam2Policy(MemoryPolicy):
    """SAM 2's own: the latest frames, whatever is on them."""

    ranks_memories = False

    def remember(self, past: Remembered, position: int, seen: Observation) -> Remembered:  # noqa: ARG002
        """See `MemoryPolicy.remember`."""
        return Remembered(
            latest((*past.memories, position), self.num_memories),
            latest((*past.pointers, position), self.num_pointers),
        )


@dataclass(frozen=True, slots=True)
class Gated(Remembered):
    """Good frames, and the latest one, oldest first."""

    latest_is_good: bool = True

    def good(self, positions: Sequence[int]) -> Sequence[int]:
        """Return those of these kept frames that stay when another one comes."""
        return positions if self.latest_is_good else positions[:-1]


class ScoreGatedPolicy(MemoryPolicy):
    """Good frames by their scores, and the latest one: SAM 3's memory selection.

    A frame is good if its presence, the object score scaled to [0, 1], times the predicted IoU is
    above 0.01 (facebookresearch/sam3, sam3/model/sam3_tracker_base.py, `cal_mem_score` and
    `frame_filter`).
    """

    reads = Reads.SCORES
    ranks_pointers = True
    start = Gated()

    def remember(self, past: Gated, position: int, seen: Observation) -> Gated:
        """See `MemoryPolicy.remember`."""
        presence = max(0.0, math.tanh(seen.object_score / 2))  # 2 * sigmoid - 1
        return Gated(
            latest((*past.good(past.memories), position), self.num_memories),
            latest((*past.good(past.pointers), position), self.num_pointers),
            latest_is_good=presence * seen.predicted_iou > _MIN_SCORE,
        )


def latest(positions: Sequence[int], number: int) -> tuple[int, ...]:
    """Return the last `number` of these positions."""
    return tuple(positions[max(0, len(positions) - number) :])
