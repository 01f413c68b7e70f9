"""Repair of a masklet: where doubt lasts, and what may be prompted there."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from pvtt_flow.params import Params

Fraction01 = Annotated[float, Field(ge=0, le=1)]
# Frames before and after a frame that its doubt is averaged with.
_REACH = 1


REPAIR_PROMPTS = 3
"""Prompted frames of a run that is tracked again: the masks beside it, and a box inside."""


class RepairParams(Params):
    """Repair of masks that are in doubt, by products that are seen there; needs
    `detect.recheck_every`."""

    attempts: Annotated[int, Field(ge=0, le=16)] = 0
    """Largest number of runs of frames of a masklet that are tracked again; 0: none."""
    doubt: Fraction01 = 0.5
    """Repair where the probability that the mask is not good stays at this or above."""
    max_prompt_doubt: Fraction01 = 0.5
    """Repair no masklet whose prompted mask is in more doubt than this."""
    min_frames: Annotated[int, Field(ge=1)] = 3
    """Processed frames that it must stay there."""
    min_similarity: Fraction01 = 0.6
    """Least similarity of the colors in a seen product's box and in the prompted mask's box."""
    min_margin: Fraction01 = 0.1
    """Least difference to the similarity of the next product on that frame."""
    min_cycle_iou: Fraction01 = 0.6
    """Track a run again from a product that, tracked back to the prompted frame, ends in a mask
    with at least this overlap with the prompted one."""
    min_gain: Annotated[float, Field(ge=-1, le=1)] = 0.02
    """Keep new masks if the mean probability of a good one rises by this in the run."""
    min_agreement_gain: Annotated[float, Field(ge=-1, le=1)] = 0.02
    """Keep new masks if the mean overlap of their boxes and detected ones rises by this, too."""


@dataclass(frozen=True, slots=True)
class Run:
    """Places `[start, stop)` of a masklet's frames."""

    start: int
    stop: int


def doubtful_runs(
    doubt: Sequence[float], given: Collection[int], params: RepairParams
) -> list[Run]:
    """Return the runs of frames in doubt, those with most of it first.

    A frame's doubt is averaged with that of its neighbors; `given` are the places of prompted
    frames, which are in no run.
    """
    if not doubt:
        return []
    smooth = _smooth(np.asarray(doubt, np.float64))
    smooth[list(given)] = 0
    is_doubtful = np.concatenate([[False], smooth >= params.doubt, [False]])
    edges = np.flatnonzero(is_doubtful[1:] != is_doubtful[:-1])
    runs = [Run(int(start), int(stop)) for start, stop in edges.reshape(-1, 2)]
    long_enough = [run for run in runs if run.stop - run.start >= params.min_frames]
    return sorted(long_enough, key=lambda run: -float(smooth[run.start : run.stop].sum()))


def best_match(similarities: Sequence[float], params: RepairParams) -> int | None:
    """Return the place of the product on a frame that is like the object; None if none is, or if
    another one is about as much."""
    if not similarities:
        return None
    order = sorted(range(len(similarities)), key=lambda place: -similarities[place])
    best = similarities[order[0]]
    second = similarities[order[1]] if len(order) > 1 else 0.0
    if best < params.min_similarity or best - second < params.min_margin:
        return None
    return order[0]


def _smooth(values: NDArray[np.float64]) -> NDArray[np.float64]:
    kernel, inner = np.ones(2 * _REACH + 1), slice(_REACH, _REACH + len(values))
    total, count = (np.convolve(each, kernel)[inner] for each in (values, np.ones(len(values))))
    return np.asarray(total / count)
