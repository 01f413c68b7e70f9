"""Versions: told, found by time, compared, and had again."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pvtt_flow import open_dataset
from pvtt_flow.dataset import history as module
from pvtt_flow.dataset import transactions
from pvtt_flow.dataset.dataset import Dataset
from pvtt_flow.dataset.history import grouped, history, restore, version_at
from pvtt_flow.dataset.ledger import read_ledger
from pvtt_flow.dataset.maintenance.row_updates import forget
from pvtt_flow.errors import PreflightError
from tests.dataset.dataset_rows import masklet
from tests.dataset.datasets import masklets_of, new_dataset, publish, publish_videos, videos_of


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return new_dataset(tmp_path)


def test_history_says_who_when_and_what(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transactions, "_whoami", lambda: "ann@desk")
    before = datetime.now(UTC) - timedelta(seconds=1)
    publish_videos(dataset, "ab")
    publish_videos(dataset, "bc")
    publish_videos(dataset, "d", run_id="r2")
    forget(dataset.uri, ["d"])
    versions = history(dataset.uri)
    assert [(v.version, v.operation, v.by, v.run_id) for v in versions] == [
        (4, "clear", "ann@desk", None),
        (3, "run", "ann@desk", "r2"),
        (2, "run", "ann@desk", "r1"),
        (1, "run", "ann@desk", "r1"),
        (0, "create", "", None),
    ]
    assert versions[2].notes == {"videos_added": 1, "videos_replaced": 1, "masklets_added": 2}
    assert before < versions[-1].at <= versions[0].at < before + timedelta(minutes=5)
    assert [len(group) for group in grouped(versions)] == [1, 1, 2, 1]
    assert len(history(dataset.uri, 2)) == 2


def test_the_version_of_a_time(dataset: Dataset) -> None:
    publish_videos(dataset, "a")
    publish_videos(dataset, "b")
    made, first, second = (v.at for v in history(dataset.uri)[::-1])
    assert version_at(dataset.uri, second + timedelta(days=1)) == 2
    assert version_at(dataset.uri, second) == 2
    assert version_at(dataset.uri, first) in (1, 2), "both may be of one millisecond"
    with pytest.raises(PreflightError, match=r"the time must be at or after .* was created, got"):
        version_at(dataset.uri, made - timedelta(seconds=1))
    assert len(read_ledger(open_dataset(dataset.uri, at=second).videos())) == 2


def test_times_that_are_refused(dataset: Dataset) -> None:
    with pytest.raises(ValueError, match=r"must have a time zone, such as datetime.UTC, got 2026"):
        open_dataset(dataset.uri, at=datetime(2026, 1, 1))
    with pytest.raises(ValueError, match="give a version or a time, not both"):
        open_dataset(dataset.uri, 0, at=datetime.now(UTC))


def test_a_clock_that_went_back(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second writer's clock is an hour late; its version is the newer one all the same."""
    publish_videos(dataset, "a")
    newest, first = history(dataset.uri)
    skewed = [replace(newest, at=first.at - timedelta(hours=1)), first]
    monkeypatch.setattr(module, "history", lambda _: skewed)
    assert version_at(dataset.uri, first.at) == 1
    with pytest.raises(PreflightError):
        version_at(dataset.uri, first.at - timedelta(minutes=1))


def test_a_restored_version_holds_the_same(dataset: Dataset) -> None:
    version = publish_videos(dataset, "ab")
    rows, records = masklets_of(dataset), videos_of(dataset)
    publish(dataset, masklet("a", label="new"), masklet("c"), run_id="r2")
    forget(dataset.uri, ["b"])
    assert restore(dataset.uri, version) == version + 3
    assert masklets_of(dataset) == rows
    assert videos_of(dataset) == records
    publish_videos(dataset, "d")
    assert sorted(videos_of(dataset)) == ["a", "b", "d"]
    restore(dataset.uri, 0)
    assert (videos_of(dataset), masklets_of(dataset)) == ({}, [])


@pytest.mark.parametrize("version", [-1, 9])
def test_only_versions_that_are_there(dataset: Dataset, version: int) -> None:
    with pytest.raises(PreflightError, match=rf"must be in \[0, 0\], got {version}"):
        restore(dataset.uri, version)
