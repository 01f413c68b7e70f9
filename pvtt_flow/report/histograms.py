"""Distributions of measurements over all masklets, with the thresholds on them."""

import math
from collections.abc import Mapping, Sequence
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
}
_WHOLE = frozenset({"num_frames", "visibility_flips"})
# One row a column and masklet, without the values that are missing; NaN counts as missing.
_VALUES = "SELECT name, v FROM (UNPIVOT ({row}) ON * INTO NAME name VALUE v) WHERE isfinite(v)"
_RANGES = """
SELECT name, min(v), max(v), avg(v), count(*) FROM ({values}) GROUP BY name
"""
_COUNTS = """
SELECT name, least(floor((v - low) / width), num_bins - 1)::INTEGER AS bin, count(*)
FROM ({values}) JOIN bins USING (name) GROUP BY ALL
"""


def make_histograms(
    db: "DuckDBPyConnection", names: Sequence[str], thresholds: QcThresholds
) -> tuple[Histogram, ...]:
    """Count the values of columns in bins, in two scans that hold no rows.

    `names` are those of `measured_columns`. A column without any value has no histogram.
    """
    if not names:
        return ()
    values = _VALUES.format(row=_row_of(names))
    found = {name: rest for name, *rest in db.execute(_RANGES.format(values=values)).fetchall()}
    (num_masklets,) = db.execute("SELECT count(*) FROM masklets").fetchall()[0]
    edges = {name: _edges(name, low, high) for name, (low, high, *_) in found.items()}
    counts = _counts(db, values, edges)
    return tuple(
        Histogram(
            name=name,
            low=edges[name][0],
            high=edges[name][0] + edges[name][1] * edges[name][2],
            counts=tuple(counts[name]),
            smallest=found[name][0],
            largest=found[name][1],
            mean=found[name][2],
            num_missing=num_masklets - found[name][3],
            thresholds=thresholds_of(name, thresholds),
        )
        for name in names
        if name in found
    )


def thresholds_of(name: str, thresholds: QcThresholds) -> tuple[Threshold, ...]:
    """Return the thresholds of a column."""
    return tuple(
        Threshold(name=key, value=float(getattr(thresholds, key))) for key in _BOUNDS.get(name, ())
    )


def _row_of(names: Sequence[str]) -> str:
    columns = [
        f"{name if name in PROBABILITIES else f'qc.{name}'}::DOUBLE AS {name}" for name in names
    ]
    return f"SELECT {', '.join(columns)} FROM masklets"  # noqa: S608 (names of our schema)


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
    db: "DuckDBPyConnection", values: str, edges: Mapping[str, tuple[float, float, int]]
) -> dict[str, list[int]]:
    counts = {name: [0] * num_bins for name, (_, _, num_bins) in edges.items()}
    if not edges:
        return counts
    db.execute(
        "CREATE OR REPLACE TEMP TABLE bins (name VARCHAR, low DOUBLE, width DOUBLE, num_bins INT)"
    )
    db.executemany("INSERT INTO bins VALUES (?, ?, ?, ?)", [(n, *e) for n, e in edges.items()])
    for name, place, count in db.execute(_COUNTS.format(values=values)).fetchall():
        counts[name][place] = count
    return counts
