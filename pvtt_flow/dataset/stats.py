"""Statistics of a file in Delta's log, by which readers skip files."""

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

LOW, HIGH, NULLS = "min.", "max.", "null_count."
"""Prefixes of the statistics in `DeltaTable.get_add_actions(flatten=True)`."""
# Longer texts make poor bounds and a big log; without bounds a file is simply always read.
_MAX_CHARS = 128


def stats_json(rows: pa.Table) -> str:
    """Return row count, null counts, and bounds of texts and numbers, nested ones included, as
    JSON."""
    lows: dict[str, Any] = {}
    highs: dict[str, Any] = {}
    nulls: dict[str, Any] = {}
    for path, column in _columns(rows):
        nulls[path] = column.null_count
        if bounds := _bounds(column):
            lows[path], highs[path] = bounds
    return _json(rows.num_rows, lows, highs, nulls)


def stats_from_log(file: Mapping[str, Any]) -> str:
    """Return a file's statistics as JSON again, from its row of `get_add_actions`."""
    by_path = (_known(file, prefix) for prefix in (LOW, HIGH, NULLS))
    return _json(file["num_records"], *by_path)


def _json(num_rows: int, *by_path: Mapping[str, Any]) -> str:
    names = ("minValues", "maxValues", "nullCount")
    trees = {name: _tree(values) for name, values in zip(names, by_path, strict=True)}
    return json.dumps({"numRecords": num_rows, **trees})


def _columns(rows: pa.Table) -> Iterator[tuple[str, pa.ChunkedArray]]:
    while any(pa.types.is_struct(kind) for kind in rows.schema.types):
        rows = rows.flatten()
    for field in rows.schema:
        if field.type in (pa.string(), pa.int64(), pa.float64()):
            yield field.name, rows[field.name]


def _bounds(column: pa.ChunkedArray) -> tuple[Any, Any] | None:
    low, high = pc.min_max(column).as_py().values()
    if low is None or max(len(str(low)), len(str(high))) > _MAX_CHARS:
        return None
    if column.type == pa.float64():
        # NaN lies between no bounds, and JSON cannot express it.
        numbers = math.isfinite(low) and math.isfinite(high)
        if not numbers or pc.any(pc.is_nan(column)).as_py():
            return None
    return low, high


def _known(file: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    values = {k.removeprefix(prefix): v for k, v in file.items() if k.startswith(prefix)}
    return {path: value for path, value in values.items() if value is not None}


def _tree(by_path: Mapping[str, Any]) -> dict[str, Any]:
    """Return `{"qc.presence": 1}` as `{"qc": {"presence": 1}}`."""
    tree: dict[str, Any] = {}
    for path, value in by_path.items():
        *parents, name = path.split(".")
        inner = tree
        for parent in parents:
            inner = inner.setdefault(parent, {})
        inner[name] = value
    return tree
