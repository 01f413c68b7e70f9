from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pvtt_flow import open_dataset
from pvtt_flow.dataset.arrow import from_table, to_table
from pvtt_flow.dataset.dataset import Dataset
from pvtt_flow.stages.write import Write
from pvtt_flow.types import Lineage, ShotRecord, Source, Timings
from tests.dataset.dataset_rows import masklet
from tests.stages.fakes import FAILED

LINEAGE = Lineage(
    run_id="run7",
    config_hash="config7",
    detector_hash="detector7",
    tracker_hash="tracker7",
    code_version="7.0",
)
SOURCE = Source(video_id="mug", uri="/mug.mp4", etag="e", size_bytes=9, work_key="key7")
TRACKED = ShotRecord(
    source=SOURCE,
    masklets=(masklet("mug", 0), masklet("mug", 1, verdict="reject")),
    num_frames=3,
    flags=("truncated",),
    timings=Timings(inspect_s=1, detect_s=2, propagate_s=3),
)


@pytest.fixture
def dataset(tmp_path: Path) -> Iterator[Dataset]:
    dataset = Dataset(str(tmp_path / "dataset"))
    dataset.ensure()
    yield dataset
    assert open_dataset(dataset.uri).masklets().count_rows() == 0, (
        "nothing is in the dataset before a commit"
    )


def test_masklets_are_written_with_their_lineage(dataset: Dataset) -> None:
    (shot_result,) = Write(dataset, LINEAGE)([TRACKED])
    (file,) = shot_result.files
    assert (file.num_rows, file.video_ids) == (2, ("mug",))
    path = Path(dataset.uri, "masklets", file.path)
    assert path.stat().st_size == file.size_bytes
    rows = pq.read_table(path, partitioning=None).to_pylist()
    stamped = ("work_key", "run_id", "config_hash", "detector_hash", "tracker_hash", "code_version")
    assert [tuple(row[name] for name in stamped) for row in rows] == [
        ("key7", "run7", "config7", "detector7", "tracker7", "7.0")
    ] * 2
    stored = [frame["rle"] for frame in rows[0]["frames"]]
    assert stored == [frame.rle for frame in masklet("mug").frames]


def test_a_shot_result_has_all_but_the_masks(dataset: Dataset) -> None:
    (shot_result,) = Write(dataset, LINEAGE)([TRACKED])
    assert (shot_result.source, shot_result.num_shots, shot_result.num_frames) == (SOURCE, 1, 3)
    assert shot_result.verdicts == ("accept", "reject")
    assert shot_result.flags == ("truncated",)
    assert shot_result.timings == TRACKED.timings
    assert shot_result.failure is None
    table = to_table(type(shot_result), [shot_result])
    assert from_table(type(shot_result), table) == [shot_result], "it crosses operators as Arrow"


def test_failed_and_empty_videos_write_no_file(dataset: Dataset) -> None:
    failed, empty = Write(dataset, LINEAGE)([FAILED, ShotRecord(source=SOURCE)])
    assert (failed.failure, failed.files) == (FAILED.failure, ())
    assert (empty.failure, empty.files, empty.verdicts) == (None, (), ())


def test_a_write_that_fails_is_a_row(dataset: Dataset, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    stage = Write(Dataset(str(tmp_path / "file")), LINEAGE)
    broken, fine = stage([TRACKED, replace(TRACKED, masklets=())])
    assert broken.failure is not None
    assert (broken.failure.stage, broken.failure.kind) == ("write", "store")
    assert broken.failure.message.startswith("$.output.uri: rows must be written, but ")
    assert (broken.files, broken.verdicts) == ((), ())
    assert fine.failure is None


def test_rows_that_cannot_be_written_are_that_videos_failure(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bug, unlike a store that fails, must not stop the run."""

    def invalid(*_: object, **__: object) -> None:
        raise pa.ArrowInvalid("such a struct cannot be written")

    monkeypatch.setattr(pq, "write_table", invalid)
    (broken,) = Write(dataset, LINEAGE)([TRACKED])
    assert broken.failure is not None
    assert (broken.failure.kind, broken.failure.stage) == ("internal", "write")
    assert "such a struct" in broken.failure.message
