"""New verdicts from stored measurements."""

from dataclasses import replace
from pathlib import Path

import pytest

from pvtt_flow import Judged, open_dataset
from pvtt_flow.dataset.dataset import Dataset
from pvtt_flow.dataset.history import history
from pvtt_flow.dataset.maintenance.rejudge import rejudge
from pvtt_flow.types import Measurements
from tests.dataset.dataset_rows import masklet, measurements
from tests.dataset.datasets import masklets_of, new_dataset, publish, videos_of


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    made = new_dataset(tmp_path)
    publish(
        made,
        masklet("a", qc=measurements(presence=0.9), tracker_hash="t1"),
        masklet("a", 1, qc=measurements(presence=0.1)),
        masklet("b", qc=measurements(presence=0.1), verdict="review", reasons=("old",)),
        masklet("c", qc=None, verdict=None),
    )
    return made


def presence(measured: Measurements, tracker_hash: str) -> Judged:
    if measured.presence > 0.5:
        return Judged("accept", (), measured.presence, 0.0)
    return Judged("reject", ("no_mask",), None, None)


def test_only_verdicts_change(dataset: Dataset) -> None:
    before, records = masklets_of(dataset), videos_of(dataset)
    done = rejudge(dataset.uri, presence, {"thresholds": {"presence": 0.5}})
    assert done.changes == {("accept", "reject"): 1, ("review", "reject"): 1}
    assert (done.num_masklets, done.version) == (4, 2)
    after = masklets_of(dataset)
    assert [(m.verdict, m.reasons) for m in after] == [
        ("accept", ()), ("reject", ("no_mask",)), ("reject", ("no_mask",)), (None, ()),
    ]  # fmt: skip
    assert [m.good_probability for m in after] == [0.9, None, None, None]
    assert [m.frames for m in after] == [m.frames for m in before]
    assert videos_of(dataset) == records
    assert masklets_of(open_dataset(dataset.uri, 1)) == before
    (newest,) = history(dataset.uri, 1)
    assert newest.operation == "judge"
    assert newest.notes["thresholds"] == {"presence": 0.5}
    assert newest.notes["accept_to_reject"] == 1


def test_equal_verdicts_commit_no_version(dataset: Dataset) -> None:
    rejudge(dataset.uri, presence, {})
    again = rejudge(dataset.uri, presence, {})
    assert (again.changes, again.version) == ({}, 2)


def test_only_reasons_may_change(dataset: Dataset) -> None:
    rejudge(dataset.uri, presence, {})
    done = rejudge(dataset.uri, lambda *m: replace(presence(*m), reasons=("doubtful",)), {})
    assert (done.changes, done.version) == ({}, 3)
    assert {m.reasons for m in masklets_of(dataset)} == {("doubtful",), ()}


def test_the_rule_is_told_by_which_weights_the_masklet_was_tracked(dataset: Dataset) -> None:
    told = []

    def listen(measured: Measurements, tracker_hash: str) -> Judged:
        told.append((measured.presence, tracker_hash))
        return presence(measured, tracker_hash)

    rejudge(dataset.uri, listen, {})
    assert sorted(told) == [(0.1, ""), (0.1, ""), (0.9, "t1")]
