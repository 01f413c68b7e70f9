"""Frames in time, seen from the frame that reads them: age, rank and closeness.

Everywhere b rows are read, each with n entries, whose frames have positions int64 (b, n).
"""

import numpy as np
from numpy.typing import NDArray

from pvtt_flow.models.sam2.memory_entries import EMPTY

# Age of a frame that is not ranked: older than any.
_UNRANKED = -EMPTY


def ages_of(
    positions: NDArray[np.int64], now: NDArray[np.int64], time_signs: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return how many frames ago each frame was on the frames `now` (b, 1), int64 (b, n).

    `time_signs` (b, 1) is 1 where a row is read forward and -1 where it is read backward.
    """
    ages: NDArray[np.int64] = (now - positions) * time_signs
    return ages


def ranks_of(ages: NDArray[np.int64], is_ranked: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return 1 for the youngest of each row's ranked entries, 2 for the next one, …, (b, n)."""
    ranks = np.where(is_ranked, ages, _UNRANKED).argsort(1).argsort(1) + 1
    return np.where(is_ranked, ranks, _UNRANKED)


def are_closest(
    positions: NDArray[np.int64], now: NDArray[np.int64], most: int
) -> NDArray[np.bool_]:
    """Return which `most` frames to read on the frames `now` (b, 1), bool (b, n).

    The last one before it, the first one not before it, and the closest of the others
    (sam2/modeling/sam2_utils.py, `select_closest_cond_frames`).
    """
    is_before = positions < now
    last_before = np.where(is_before, positions, EMPTY).max(1, keepdims=True)
    first_after = np.where(is_before, -EMPTY, positions).min(1, keepdims=True)
    distances = np.abs(positions - now)
    distances[(positions == last_before) | (positions == first_after)] = -1
    ranks = distances.argsort(1, kind="stable").argsort(1)
    are_read: NDArray[np.bool_] = ranks < most
    return are_read
