"""Statistics of a file's rows in the log."""

import json

import pyarrow as pa
import pytest

from pvtt_flow.dataset.stats import stats_from_log, stats_json


def test_bounds_of_texts_and_numbers_also_inside_structs() -> None:
    rows = pa.table({"a": ["y", "x"], "qc": [{"n": 2, "inner": {"f": 0.5}}, {"n": None}]})
    assert json.loads(stats_json(rows)) == {
        "numRecords": 2,
        "minValues": {"a": "x", "qc": {"n": 2, "inner": {"f": 0.5}}},
        "maxValues": {"a": "y", "qc": {"n": 2, "inner": {"f": 0.5}}},
        "nullCount": {"a": 0, "qc": {"n": 1, "inner": {"f": 1}}},
    }


@pytest.mark.parametrize(
    "column",
    [
        pa.array([None, None], pa.string()),
        pa.array(["a", "b" * 129]),
        pa.array([0.5, float("nan")]),
        pa.array([0.5, float("inf")]),
    ],
    ids=["nothing", "too long", "nan", "infinite"],
)
def test_no_bounds_where_they_would_not_hold_or_not_help(column: pa.Array) -> None:
    stats = json.loads(stats_json(pa.table({"a": column})))
    assert stats["minValues"] == stats["maxValues"] == {}
    assert stats["nullCount"] == {"a": column.null_count}


def test_statistics_of_a_file_that_is_added_again() -> None:
    file = {"num_records": 3, "min.a": 1, "max.a": 2, "null_count.a": 0, "min.qc.b": 0.5,
            "max.qc.b": None, "partition.bucket": 4}  # fmt: skip
    assert json.loads(stats_from_log(file)) == {
        "numRecords": 3,
        "minValues": {"a": 1, "qc": {"b": 0.5}},
        "maxValues": {"a": 2},
        "nullCount": {"a": 0},
    }
