"""Distributions of measurements over all masklets, with the thresholds on them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pvtt_flow.core.qc import QcThresholds
from pvtt_flow.report.content import Histogram, Threshold

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

NUM_BINS = 30
PROBABILITIES = ("good_probability", "gone_probability")
# Thresholds of each column; what is missing here has none.
_BOUNDS: Mapping[str, Sequence[str]] = {
    "good_probability": ("reject_probability", "accept_probability"),
    "gone_probability": ("gone_probability",),
    "visibility_flips": ("visibility_flips_max",),
    "area_median": ("area_min", "area_max"),
    "area_jump_max": ("area_jump_max",),
    "box_jump_max": ("box_jump_max",),
    "object_score_p05": ("object_score_min",),
    "predicted_iou_mean": ("predicted_iou_min",),
    "fragments_mean": ("fragments_max",),
    "prompt_iou": ("prompt_iou_min",),
    "prompt_margin": ("prompt_margin_min",),
    "detector_iou_mean": ("detector_iou_min",),
    "salient_iou_mean": ("salient_iou_min",),
}
_WHOLE = frozenset({"num_frames", "visibility_flips"})
# One scan for all columns: UNPIVOT would hold all of their values. NaN counts as missing.
_RANGE = "min({v}) FILTER (isfinite({v})), max({v}) FILTER (isfinite({v}))"
_MEAN = "avg({v}) FILTER (isfinite({v})), count(*) FILTER (isfinite({v}))"
_BINS = "histogram(least(floor(({v} - ?) / ?), ? - 1)::INTEGER) FILTER (isfinite({v}))"
_ALL = "SELECT {columns} FROM masklets"


@dataclass(frozen=True, slots=True)
class _Range:
    """Facts of a column that its bins are made by."""

    smallest: float
    largest: float
    mean: float
    num_values: int


def make_histograms(
    db: "DuckDBPyConnection", names: Sequence[str], thresholds: QcThresholds
) -> tuple[Histogram, ...]:
    """Count the values of columns in bins, in two scans that hold no rows.

    `names` are those of `measured_columns`. A column without any value has no histogram.
    """
    (num_masklets,) = db.execute("SELECT count(*) FROM masklets").fetchall()[0]
    ranges = _ranges(db, names)
    edges = {name: _edges(name, r.smallest, r.largest) for name, r in ranges.items()}
    counts = _counts(db, edges)
    return tuple(
        Histogram(
            name=name,
            low=edges[name][0],
            high=edges[name][0] + edges[name][1] * edges[name][2],
            counts=counts[name],
            smallest=found.smallest,
            largest=found.largest,
            mean=found.mean,
            num_missing=num_masklets - found.num_values,
            thresholds=thresholds_of(name, thresholds),
        )
        for name, found in ranges.items()
    )


def thresholds_of(name: str, thresholds: QcThresholds) -> tuple[Threshold, ...]:
    """Return the thresholds of a column."""
    return tuple(
        Threshold(name=key, value=float(getattr(thresholds, key))) for key in _BOUNDS.get(name, ())
    )


def _column(name: str) -> str:
    return f"{name if name in PROBABILITIES else f'qc.{name}'}::DOUBLE"


def _ranges(db: "DuckDBPyConnection", names: Sequence[str]) -> dict[str, _Range]:
    """Return the facts of each column that has a value."""
    if not names:
        return {}
    columns = [f"{_RANGE}, {_MEAN}".format(v=_column(name)) for name in names]
    (row,) = db.execute(_ALL.format(columns=", ".join(columns))).fetchall()
    facts = {name: _Range(*row[4 * i : 4 * i + 4]) for i, name in enumerate(names)}
    return {name: found for name, found in facts.items() if found.num_values}


def _edges(name: str, low: float, high: float) -> tuple[float, float, int]:
    """Return the first edge, the width and the number of bins; whole numbers are not divided."""
    if name in _WHOLE:
        width = max(1, math.ceil((high - low + 1) / NUM_BINS))
        return low, float(width), math.ceil((high - low + 1) / width)
    if high > low:
        return low, (high - low) / NUM_BINS, NUM_BINS
    alone = max(abs(low), 1) / NUM_BINS
    return low - alone / 2, alone, 1


def _counts(
    db: "DuckDBPyConnection", edges: Mapping[str, tuple[float, float, int]]
) -> dict[str, tuple[int, ...]]:
    """Count the values in each bin of each column."""
    if not edges:
        return {}
    columns = [_BINS.format(v=_column(name)) for name in edges]
    parameters = [value for edge in edges.values() for value in edge]
    (row,) = db.execute(_ALL.format(columns=", ".join(columns)), parameters).fetchall()
    return {
        name: tuple(found.get(place, 0) for place in range(num_bins))
        for (name, (_, _, num_bins)), found in zip(edges.items(), row, strict=True)
    }
