"""Updates of a video's row without processing it."""

from pathlib import Path

import pytest

from pvtt_flow import open_dataset
from pvtt_flow.dataset.dataset import Dataset
from pvtt_flow.dataset.history import history
from pvtt_flow.dataset.maintenance.row_updates import forget, mark_gone, retry
from tests.dataset.datasets import masklets_of, new_dataset, publish_videos, videos_of


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    made = new_dataset(tmp_path)
    publish_videos(made, "abc")
    publish_videos(made, "de", run_id="r2")
    return made


def test_gone_videos_are_marked_and_unmarked(dataset: Dataset) -> None:
    before, masklets = videos_of(dataset), masklets_of(dataset)
    version = mark_gone(dataset.uri, gone=["a", "d"], returned=[], at_ns=7, run_id="r3")
    assert {i: s.gone_at_ns for i, s in videos_of(dataset).items()} == {
        "a": 7, "b": None, "c": None, "d": 7, "e": None,
    }  # fmt: skip
    assert mark_gone(dataset.uri, gone=["e"], returned=["a"], at_ns=9, run_id="r4") == version + 1
    marked = {i for i, s in videos_of(dataset).items() if s.gone_at_ns is not None}
    assert marked == {"d", "e"}
    mark_gone(dataset.uri, gone=[], returned=["d", "e"], at_ns=0, run_id="r5")
    assert videos_of(dataset) == before
    assert masklets_of(dataset) == masklets
    assert [(v.operation, v.run_id) for v in history(dataset.uri, 3)] == [
        ("gone", "r5"), ("gone", "r4"), ("gone", "r3"),
    ]  # fmt: skip


def test_marking_an_unknown_video_commits_no_version(dataset: Dataset) -> None:
    assert (
        mark_gone(dataset.uri, gone=["x"], returned=[], at_ns=7, run_id="r3")
        == open_dataset(dataset.uri).version
    )


def test_a_retry_gives_all_attempts_again(dataset: Dataset) -> None:
    failure = {"failure_kind": "unreadable", "failure_message": "it is dark", "num_masklets": 0}
    publish_videos(dataset, "x", status="quarantined", attempts=3, **failure)
    retry(dataset.uri, ["x"])
    record = videos_of(dataset)["x"]
    assert (record.status, record.attempts, record.failure_message) == (
        "failed",
        0,
        "it is dark",
    )
    assert videos_of(dataset)["a"].status == "ok"


def test_retry_changes_failed_videos_only(dataset: Dataset) -> None:
    """A run may process the video before the command changes its row."""
    before = videos_of(dataset)
    assert retry(dataset.uri, ["a", "nobody"]) == open_dataset(dataset.uri).version == 2
    assert videos_of(dataset) == before


def test_a_cleared_video_leaves_no_rows(dataset: Dataset) -> None:
    forget(dataset.uri, ["a", "e"])
    assert sorted(videos_of(dataset)) == ["b", "c", "d"]
    assert [m.video_id for m in masklets_of(dataset)] == ["b", "c", "d"]
    assert next(dataset.ledger().entries(["a"])) is None
