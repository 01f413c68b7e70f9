"""Statistics of a measure over the frames of an object, and of objects over a set."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_GOOD = 0.5
_PARTS = 4


@dataclass(frozen=True)
class Statistics:
    """Mean, recall and decay of a measure over frames, as DAVIS 2017 has them."""

    mean: float
    recall: float
    """Share of frames above 0.5."""
    decay: float
    """Mean of the first quarter of the frames minus that of the last: 0 if nothing is lost."""


def statistics(values: NDArray[np.float64]) -> Statistics:
    """Return the statistics of the values (T,) of one object, in the order of time; NaN of none.

    The quarters are those of davisvideochallenge/davis2017-evaluation (`db_statistics`), of which
    neighbors share a frame.
    """
    if not len(values):
        return Statistics(float("nan"), float("nan"), float("nan"))
    edges = np.round(np.linspace(1, len(values), _PARTS + 1) + 1e-10).astype(int) - 1
    first, last = values[: edges[1] + 1], values[edges[-2] :]
    return Statistics(
        float(values.mean()), float((values > _GOOD).mean()), float(first.mean() - last.mean())
    )


@dataclass(frozen=True)
class Mean:
    """Mean over objects, and its standard error."""

    value: float
    standard_error: float
    """NaN for fewer than two sequences."""


def mean_of_objects(values: NDArray[np.float64], sequences: NDArray[np.str_]) -> Mean:
    """Return the mean of the values (N,) of objects; `sequences` (N,) names the one of each.

    Objects of one sequence are not independent: the error is that of a mean over clusters of
    unequal size, the sequences (Cochran, Sampling Techniques, 1977, chapter 9A).
    """
    value = float(values.mean()) if len(values) else float("nan")
    names = np.unique(sequences)
    count = len(names)
    if count < 2:
        return Mean(value, float("nan"))
    surplus = np.array([(values[sequences == name] - value).sum() for name in names])
    error = float(np.sqrt(count / (count - 1) * (surplus**2).sum()) / len(values))
    return Mean(value, error)
