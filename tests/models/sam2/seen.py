"""Observations with chosen scores and boxes, and policies that are driven with them."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from pvtt_flow.models.sam2.memory_policy import MemoryPolicy, Remembered
from pvtt_flow.models.sam2.observation import Observation

SIDE_PX = 40
SQUARE = (10, 10, 20, 20)
NUM_MEMORIES, NUM_POINTERS = 6, 15


def seen(
    object_score: float = 5.0,
    predicted_iou: float = 0.9,
    box: tuple[int, int, int, int] | None = SQUARE,
    *others: tuple[int, int, int, int],
) -> Observation:
    """Make an observation of a mask that fills `box`, and of other candidates' masks."""
    masks = np.stack([_filled(each) for each in (box, *others)])
    return Observation(object_score, predicted_iou, masks)


def absent() -> Observation:
    return seen(-5.0, 0.1, None)


def drive(policy: MemoryPolicy, frames: Iterable[tuple[int, Observation]]) -> list[Remembered]:
    """Return what is remembered after each frame."""
    states = [policy.start]
    for position, observation in frames:
        states.append(policy.remember(states[-1], position, observation))
    return states[1:]


def after(policy: MemoryPolicy, observations: Sequence[Observation]) -> Remembered:
    """Return what is remembered after frames 1, 2, … of a forward pass."""
    return drive(policy, enumerate(observations, 1))[-1]


def _filled(box: tuple[int, int, int, int] | None) -> NDArray[np.bool_]:
    mask = np.zeros((SIDE_PX, SIDE_PX), np.bool_)
    if box is not None:
        x0, y0, x1, y1 = box
        mask[y0:y1, x0:x1] = True
    return mask
