"""A driver whose clock is a day behind, or ahead, commits between others."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pvtt_flow import DatasetSnapshot, open_dataset
from pvtt_flow.dataset.dataset import Dataset
from pvtt_flow.dataset.delta import open_table
from pvtt_flow.dataset.history import history, restore, version_at
from pvtt_flow.dataset.maintenance.compact import FULL, compact
from pvtt_flow.dataset.maintenance.row_updates import forget
from pvtt_flow.dataset.maintenance.vacuum import vacuum
from pvtt_flow.dataset.tables import MASKLETS, VIDEOS
from pvtt_flow.errors import PreflightError
from tests.dataset.clocks import clock
from tests.dataset.dataset_rows import masklet
from tests.dataset.datasets import masklets_of, publish, videos_of

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
BEHIND, AHEAD = -DAY, DAY
# What each version from 1 on has: whose label its videos carry.
LABELS = [
    {"a": "first", "b": "first"},
    {"a": "first", "b": "skewed", "c": "skewed"},
    {"a": "last", "b": "skewed", "c": "last"},
]


def commits(dataset: Dataset, skew: timedelta) -> None:
    """Three runs; the second has the wrong clock. Each takes a video over from the one before."""
    with clock(dataset, timedelta(minutes=-2)):
        publish(dataset, masklet("a", label="first"), masklet("b", label="first"), run_id="r1")
    with clock(dataset, skew):
        publish(dataset, masklet("b", label="skewed"), masklet("c", label="skewed"), run_id="r2")
    publish(dataset, masklet("a", label="last"), masklet("c", label="last"), run_id="r3")


def labels(dataset: Dataset | DatasetSnapshot) -> dict[str, str]:
    """Return the labels by video; each video has one masklet and one record."""
    rows = masklets_of(dataset)
    found = {row.video_id: row.label for row in rows}
    assert len(rows) == len(found)
    assert found.keys() == videos_of(dataset).keys()
    return found


@pytest.fixture(params=[BEHIND, AHEAD], ids=["behind", "ahead"])
def skew(request: pytest.FixtureRequest) -> timedelta:
    offset: timedelta = request.param
    return offset


@pytest.fixture
def dataset(tmp_path: Path, skew: timedelta) -> Dataset:
    made = Dataset(str(tmp_path / "dataset"))
    with clock(made, timedelta(minutes=-3)):
        made.ensure()
    commits(made, skew)
    return made


def test_no_row_is_lost_or_doubled_and_versions_keep_their_order(dataset: Dataset) -> None:
    assert [(v.version, v.run_id) for v in history(dataset.uri)] == [
        (3, "r3"), (2, "r2"), (1, "r1"), (0, None),
    ]  # fmt: skip
    for version, expected in enumerate(LABELS, 1):
        assert labels(open_dataset(dataset.uri, version)) == expected
    assert labels(dataset) == LABELS[-1]


def test_all_operations_work_with_a_wrong_clock(dataset: Dataset, skew: timedelta) -> None:
    with clock(dataset, skew):
        compact(dataset.uri, FULL, {})
        assert labels(dataset) == LABELS[-1]
        forget(dataset.uri, ["a"])
        assert labels(dataset) == {"b": "skewed", "c": "last"}
        restore(dataset.uri, 1)
    assert labels(dataset) == LABELS[0]
    assert [v.operation for v in history(dataset.uri, 3)] == ["restore", "clear", "compact"]


def test_later_times_never_have_earlier_versions(dataset: Dataset, skew: timedelta) -> None:
    made, first, second, third = (v.at for v in history(dataset.uri)[::-1])
    assert abs(second - first - skew) < HOUR, "the log has the wrong time"
    assert version_at(dataset.uri, first) == (2 if skew == BEHIND else 1)
    # By a clock that is ahead, the versions after it are not there yet: an earlier one is given.
    assert version_at(dataset.uri, third) == (3 if skew == BEHIND else 1)
    assert version_at(dataset.uri, datetime.now(UTC) + 2 * DAY) == 3
    times = sorted([made, first, second, third, third + 2 * DAY])
    versions = [version_at(dataset.uri, time) for time in times if time >= made]
    assert versions == sorted(versions)
    with pytest.raises(PreflightError, match="the time must be at or after"):
        version_at(dataset.uri, made - HOUR)
    assert labels(open_dataset(dataset.uri, at=third + 2 * DAY)) == LABELS[-1]


def checkpoint(dataset: Dataset) -> None:
    for name in (VIDEOS, MASKLETS):
        open_table(dataset.uri, name).create_checkpoint()


@pytest.mark.parametrize("before", [lambda _: None, checkpoint], ids=["entries", "checkpoint"])
def test_no_version_of_the_last_hour_is_vacuumed(
    dataset: Dataset, before: Callable[[Dataset], None]
) -> None:
    before(dataset)
    done = vacuum(dataset.uri, keep=HOUR)
    assert (done.num_files, done.oldest) == (0, 0)
    for version, expected in enumerate(LABELS, 1):
        assert labels(open_dataset(dataset.uri, version)) == expected


def test_old_versions_can_be_vacuumed_all_the_same(dataset: Dataset) -> None:
    done = vacuum(dataset.uri, keep=timedelta(0))
    assert done.oldest == 3
    assert done.num_files > 0
    assert labels(dataset) == LABELS[-1]
    with pytest.raises(PreflightError, match="got 2, whose files have been vacuumed"):
        open_dataset(dataset.uri, 2)
