"""Old files go, and the log says from when on there is something to read."""

from datetime import timedelta
from pathlib import Path

import pytest

from pvtt_flow import open_dataset
from pvtt_flow.dataset import transactions
from pvtt_flow.dataset.dataset import Dataset
from pvtt_flow.dataset.delta import open_table
from pvtt_flow.dataset.history import history, restore
from pvtt_flow.dataset.maintenance.vacuum import vacuum
from pvtt_flow.dataset.tables import MASKLETS, VIDEOS
from pvtt_flow.errors import PreflightError
from tests.dataset.clocks import clock
from tests.dataset.dataset_rows import masklet
from tests.dataset.datasets import masklets_of, new_dataset, publish, publish_videos, videos_of


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return new_dataset(tmp_path)


def files(dataset: Dataset) -> set[str]:
    return {
        str(path) for path in Path(dataset.uri).rglob("*.parquet") if "_delta_log" not in path.parts
    }


def test_young_files_are_not_deleted(dataset: Dataset) -> None:
    publish_videos(dataset, "ab")
    publish(dataset, masklet("a", label="new"), run_id="r2")
    before = files(dataset)
    done = vacuum(dataset.uri, keep=timedelta(days=1))
    assert (done.num_files, done.oldest) == (0, 0)
    assert files(dataset) == before
    assert len(masklets_of(open_dataset(dataset.uri, 1))) == 2


def test_old_versions_are_deleted_and_refused(dataset: Dataset) -> None:
    publish_videos(dataset, "ab")
    publish(dataset, masklet("a", label="new"), run_id="r2")
    rows, records = masklets_of(dataset), videos_of(dataset)
    before = files(dataset)
    expected = vacuum(dataset.uri, keep=timedelta(0), dry_run=True)
    assert files(dataset) == before
    done = vacuum(dataset.uri, keep=timedelta(0))
    assert done == expected
    assert len(before - files(dataset)) == done.num_files > 0
    assert (masklets_of(dataset), videos_of(dataset)) == (rows, records)
    assert done.oldest == 2
    assert {v.operation for v in history(dataset.uri) if v.version > 2} == {"vacuum"}
    with pytest.raises(PreflightError, match=r"must be in \[2, 5\], got 1, whose files have been"):
        open_dataset(dataset.uri, 1)
    with pytest.raises(PreflightError, match=r"got 1, whose files have been vacuumed"):
        restore(dataset.uri, 1)
    publish_videos(dataset, "c")
    assert len(masklets_of(dataset)) == 3
    restore(dataset.uri, 2)
    assert masklets_of(dataset) == rows


def test_only_files_of_a_crash_are_deleted(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files that were written and not committed, or committed without their videos."""
    publish_videos(dataset, "ab")
    rows, kept = masklets_of(dataset), files(dataset)
    dataset.write_masklets([masklet("lost")])
    with monkeypatch.context() as patch:
        patch.setattr(transactions, "_commit_videos", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            publish(dataset, masklet("a", label="lost"))
    for _ in range(2):  # what was committed goes with the version that it was built upon
        vacuum(dataset.uri, keep=timedelta(0))
    assert files(dataset) == kept
    assert masklets_of(dataset) == rows


def test_young_files_are_kept_after_a_checkpoint(tmp_path: Path) -> None:
    """A checkpoint does not tell of files that were removed more than a week ago."""
    dataset = Dataset(str(tmp_path / "dataset"))
    with clock(dataset, -timedelta(days=41)):
        dataset.ensure()
    for label, age_days in (("old", 40), ("new", 10), ("newest", 9)):
        with clock(dataset, -timedelta(days=age_days)):
            publish(dataset, masklet("a", label=label), run_id=label)
    for name in (VIDEOS, MASKLETS):
        open_table(dataset.uri, name).create_checkpoint()
    done = vacuum(dataset.uri, keep=timedelta(days=30))
    assert (done.num_files, done.oldest) == (0, 1)
    for version, label in enumerate(("old", "new", "newest"), 1):
        (row,) = masklets_of(open_dataset(dataset.uri, version))
        assert row.label == label


def test_deleted_versions_stay_deleted(dataset: Dataset) -> None:
    """A later vacuum that keeps more does not say that it can be read."""
    publish_videos(dataset, "ab")
    publish(dataset, masklet("a", label="new"), run_id="r2")
    assert vacuum(dataset.uri, keep=timedelta(0)).oldest == 2
    for dry_run in (True, False):
        assert vacuum(dataset.uri, keep=timedelta(days=9), dry_run=dry_run).oldest == 2
    with pytest.raises(PreflightError, match="got 1, whose files have been vacuumed"):
        open_dataset(dataset.uri, at=history(dataset.uri)[-2].at)
