"""Scans: which files a filter opens, and that it misses no row."""

import operator
import pickle
import random
from functools import reduce
from pathlib import Path

import pyarrow.dataset as ds
import pytest

from pvtt_flow import open_dataset
from pvtt_flow.dataset.dataset import Dataset
from pvtt_flow.dataset.delta import open_table
from pvtt_flow.dataset.scan import scan
from tests.dataset.dataset_rows import masklet, measurements, video_record
from tests.dataset.datasets import new_dataset, publish

PRESENCE, AREA_JUMP = ds.field("qc", "presence"), ds.field("qc", "area_jump_max")


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Two masklets in a file each; the first is the better one."""
    made = new_dataset(tmp_path)
    publish(made, masklet("good", qc=measurements(presence=0.9)))
    publish(made, masklet("bad", verdict="reject", qc=measurements(presence=0.1)))
    return made


@pytest.mark.parametrize(
    ("where", "opened"),
    [
        (PRESENCE > 0.5, ["good"]),
        (PRESENCE < 0.5, ["bad"]),
        (PRESENCE > 0.95, []),
        (ds.field("verdict") == "accept", ["good"]),
        (ds.field("verdict").isin(["accept", "reject"]), ["bad", "good"]),
        (ds.field("qc", "num_frames") > 3, []),
        # Null in both: no bound is known, and nothing can match.
        (AREA_JUMP > 0.5, []),
        (AREA_JUMP.is_null(), ["bad", "good"]),
        (ds.field("video_id") == "bad", ["bad"]),
    ],
    ids=str,
)
def test_files_that_cannot_match_are_not_opened(
    dataset: Dataset, where: ds.Expression, opened: list[str]
) -> None:
    rows = open_dataset(dataset.uri).masklets()
    candidates = {file.path for file in rows.get_fragments(filter=where)}
    for path in set(rows.files) - candidates:
        Path(path).unlink()  # whoever opens it fails
    assert len(candidates) == len(opened)
    found = rows.to_table(columns=["video_id"], filter=where)["video_id"].to_pylist()
    assert sorted(found) == opened


def test_a_scan_skips_files_by_the_columns_it_is_told(dataset: Dataset) -> None:
    rows = scan(open_table(dataset.uri, "masklets"), f"{dataset.uri}/masklets", ["video_id"])
    (file,) = rows.get_fragments(filter=ds.field("video_id") == "bad")
    assert file.to_table(columns=["video_id"])["video_id"].to_pylist() == ["bad"]
    assert len(list(rows.get_fragments(filter=PRESENCE > 0.5))) == 2
    assert rows.to_table(filter=PRESENCE > 0.5)["video_id"].to_pylist() == ["good"]


def test_a_filter_finds_all_matching_rows(tmp_path: Path) -> None:
    """Over many files, against all rows read and then chosen from."""
    made, chance = new_dataset(tmp_path), random.Random(3)
    for number in range(12):
        presence = [chance.choice([0.0, 0.25, 0.5, 1.0]) for _ in range(3)]
        rows = (masklet(f"v{number}", i, qc=measurements(p)) for i, p in enumerate(presence))
        publish(made, *rows)
    scan = open_dataset(made.uri).masklets()
    every = scan.to_table()
    compare = [operator.lt, operator.le, operator.eq, operator.ne, operator.ge, operator.gt]
    for _ in range(40):
        wheres = [chance.choice(compare)(PRESENCE, chance.choice([0, 0.25, 0.3, 1])) for _ in "ab"]
        where = reduce(chance.choice([operator.and_, operator.or_]), wheres)
        assert sorted(scan.to_table(filter=where)["masklet_id"].to_pylist()) == sorted(
            every.filter(where)["masklet_id"].to_pylist()
        )


def test_bounds_go_through_the_log_to_the_last_digit(tmp_path: Path) -> None:
    """A bound that is one digit off would make a filter miss a row."""
    made, chance = new_dataset(tmp_path), random.Random(5)
    presences = {f"v{n}": chance.random() * 10.0 ** chance.randint(-9, 9) for n in range(100)}
    files = [
        file
        for name, presence in presences.items()
        for file in made.write_masklets([masklet(name, qc=measurements(presence))])
    ]
    made.commit(files, [video_record(name) for name in presences], run_id="r1")
    open_table(made.uri, "masklets").create_checkpoint()
    rows = open_dataset(made.uri).masklets()
    for name, presence in presences.items():
        (file,) = rows.get_fragments(filter=presence == PRESENCE)
        assert file.to_table(columns=["video_id"])["video_id"].to_pylist() == [name]


def test_a_snapshot_can_be_pickled(dataset: Dataset) -> None:
    travelled = pickle.loads(pickle.dumps(open_dataset(dataset.uri).masklets()))  # noqa: S301
    assert travelled.to_table().equals(open_dataset(dataset.uri).masklets().to_table())
    assert len(list(travelled.get_fragments(filter=PRESENCE > 0.5))) == 1
