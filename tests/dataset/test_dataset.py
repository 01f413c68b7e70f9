"""The dataset: committed whole, replaced whole, read at versions that belong together."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from pvtt_flow import open_dataset
from pvtt_flow.dataset import columns, delta, transactions
from pvtt_flow.dataset.arrow import from_table, to_table
from pvtt_flow.dataset.dataset import CommitResult, Dataset
from pvtt_flow.dataset.delta import open_table
from pvtt_flow.dataset.ledger import LedgerEntry, read_ledger
from pvtt_flow.dataset.snapshot import masklets_version
from pvtt_flow.dataset.tables import SCHEMAS, VIDEOS, MaskletFile, bucket_of
from pvtt_flow.errors import PreflightError, StoreError
from pvtt_flow.types import Status, VideoRecord
from tests.dataset.dataset_rows import masklet, video_record
from tests.dataset.datasets import masklets_of, publish

if TYPE_CHECKING:
    from tests.conftest import S3Server


@pytest.fixture(params=["local", "s3"])
def dataset(request: pytest.FixtureRequest, tmp_path: Path) -> Dataset:
    """A new dataset, in a folder and in a bucket."""
    root = str(tmp_path) if request.param == "local" else request.getfixturevalue("s3").bucket()
    made = Dataset(f"{root}/dataset")
    made.ensure()
    return made


@pytest.fixture
def local(tmp_path: Path) -> Dataset:
    made = Dataset(str(tmp_path / "dataset"))
    made.ensure()
    return made


def entry(dataset: Dataset, video_id: str) -> LedgerEntry | None:
    (found,) = dataset.ledger().entries([video_id])
    return found


def same_bucket(count: int) -> list[str]:
    """Ids of videos that share a partition, and so may share a file."""
    ids = [f"video-{n}" for n in range(200)]
    return [video for video in ids if bucket_of(video) == bucket_of(ids[0])][:count]


def test_committed_rows_are_read(dataset: Dataset) -> None:
    assert dataset.exists()
    assert not Dataset(f"{dataset.uri}/elsewhere").exists()
    dataset.ensure()
    rows = [masklet("a"), masklet("a", 1, qc=None, verdict=None), masklet("b", reasons=("x", "y"))]
    records = [
        video_record("a", num_masklets=2),
        video_record("b"),
        video_record("c", status="empty", num_masklets=0),
    ]
    files = dataset.write_masklets(rows)
    assert open_dataset(dataset.uri).masklets().count_rows() == 0
    version = dataset.commit(files, records, run_id="r1").version
    assert version == 1
    assert masklets_of(dataset) == rows
    assert from_table(VideoRecord, open_dataset(dataset.uri).videos().to_table()) == records
    assert entry(dataset, "c") == LedgerEntry(
        video_id="c", uri="/videos/c.mp4", etag="e1", size_bytes=1000, status="empty", attempts=0,
        input_uri="/videos", gone_at_ns=None, work_key="k1", run_id="r1",
        config_hash="c", detector_hash="d", tracker_hash="t",
    )  # fmt: skip
    assert entry(dataset, "nobody") is None


def test_a_video_is_replaced_and_its_neighbours_stay(dataset: Dataset) -> None:
    one, two = same_bucket(2)
    publish(dataset, masklet(one), masklet(one, 1), masklet(two))
    before = open_dataset(dataset.uri).videos().count_rows()
    publish(dataset, masklet(one, label="new"), run_id="r2")
    assert masklets_of(dataset) == sorted(
        [masklet(one, label="new"), masklet(two)], key=lambda row: row.masklet_id
    )
    assert open_dataset(dataset.uri).videos().count_rows() == before
    records = from_table(VideoRecord, open_dataset(dataset.uri).videos().to_table())
    assert {row.video_id: row.run_id for row in records} == {one: "r2", two: "r1"}


def test_a_crash_between_the_two_commits_is_never_read(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(dataset, masklet("a"))
    for _ in range(2):
        with monkeypatch.context() as patch:
            patch.setattr(transactions, "_commit_videos", crash)
            with pytest.raises(KeyboardInterrupt):
                publish(dataset, masklet("a", label="lost"), masklet("b"), run_id="r2")
        assert masklets_of(dataset) == [masklet("a")]
        assert open_dataset(dataset.uri).masklets().count_rows() == 1
    publish(dataset, masklet("b"), run_id="r3")
    assert masklets_of(dataset) == [masklet("a"), masklet("b")]
    head = open_table(dataset.uri, "masklets").to_pyarrow_dataset()
    assert sorted(head.to_table()["video_id"].to_pylist()) == ["a", "b"], "nor built upon"


def crash(*args: object, **kwargs: object) -> None:
    raise KeyboardInterrupt


def test_a_crash_in_the_very_first_commit(local: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(transactions, "_commit_videos", crash)
        with pytest.raises(KeyboardInterrupt):
            publish(local, masklet("a"))
    assert open_dataset(local.uri).masklets().count_rows() == 0
    publish(local, masklet("a"))
    assert masklets_of(local) == [masklet("a")]


def test_a_failure_takes_the_earlier_masklets_away(local: Dataset) -> None:
    publish(local, masklet("a"), masklet("b"))
    failed = video_record(
        "a", status="failed", failure_kind="undecodable", attempts=1, num_masklets=0
    )
    local.commit((), [failed], run_id="r2", expected_run_ids={"a": "r1"})
    assert masklets_of(local) == [masklet("b")]
    known = entry(local, "a")
    assert known is not None
    assert (known.status, known.attempts) == ("failed", 1)


def test_versions_belong_together(local: Dataset) -> None:
    first = publish(local, masklet("a"))
    second = publish(local, masklet("a", label="new"), masklet("b"), run_id="r2")
    old = open_dataset(local.uri, first)
    assert masklets_of(old) == [masklet("a")]
    assert len(read_ledger(old.videos())) == 1
    assert masklets_of(open_dataset(local.uri, second)) == masklets_of(open_dataset(local.uri))
    notes = open_table(local.uri, "videos").history(1)[0]
    assert (notes["run_id"], notes["step"], notes["videos_added"]) == ("r2", "run", 1)
    assert masklets_version(open_table(local.uri, "videos")) == 2


def test_file_names_and_statistics_describe_the_rows(local: Dataset) -> None:
    one, two = same_bucket(2)
    other = next(v for v in map(str, range(99)) if bucket_of(v) != bucket_of(one))
    files = local.write_masklets([masklet(other), masklet(two), masklet(one), masklet(one, 1)])
    assert local.write_masklets([]) == ()
    by_bucket = {file.bucket: file for file in files}
    file = by_bucket[bucket_of(one)]
    assert len(files) == 2
    assert file.path.startswith(f"bucket={file.bucket}/")
    assert file.num_rows == 3
    assert file.video_ids == tuple(sorted((one, two)))
    stats = json.loads(file.stats_json)
    assert stats["numRecords"] == 3
    assert stats["minValues"]["video_id"] == min(one, two)
    assert stats["nullCount"]["verdict"] == 0
    assert from_table(MaskletFile, to_table(MaskletFile, files)) == list(files)


def test_reading_one_video_opens_one_file(local: Dataset) -> None:
    publish(local, *(masklet(f"video-{n}") for n in range(40)))
    import pyarrow.dataset as ds

    where = ds.field("video_id") == "video-7"
    files = list(open_dataset(local.uri).masklets().get_fragments(filter=where))
    assert len(files) < len(list(open_dataset(local.uri).masklets().get_fragments()))
    only = where & (ds.field("bucket") == bucket_of("video-7"))
    assert len(list(open_dataset(local.uri).masklets().get_fragments(filter=only))) == 1
    assert open_dataset(local.uri).masklets().to_table(filter=where).num_rows == 1


def test_rows_that_do_not_belong_together_are_refused(local: Dataset) -> None:
    files = local.write_masklets([masklet("a")])
    with pytest.raises(
        ValueError, match=r"must be committed with their videos, got none for \{'a'\}"
    ):
        local.commit(files, [video_record("b")], run_id="r")
    with pytest.raises(ValueError, match=r"must have one row for each video, got two for \['a'\]"):
        local.commit((), [video_record("a"), video_record("a")], run_id="r")


@pytest.mark.parametrize(
    ("theirs", "ours", "winner"),
    [("ok", "ok", "early"), ("empty", "ok", "early"), ("failed", "ok", "late"),
     ("failed", "failed", "early"), ("ok", "failed", "early")],
)  # fmt: skip
def test_two_runs_finish_the_same_video(
    local: Dataset, theirs: Status, ours: Status, winner: str
) -> None:
    """The second learns it from the log; a result beats a failure."""
    first = publish(local, masklet("a"), masklet("b"))
    local.commit(
        (),
        [video_record("a", run_id="early", **as_(theirs))],
        run_id="early",
        expected_run_ids={"a": "r1"},
    )
    files = local.write_masklets([masklet("a", label="late"), masklet("b", label="late")])
    done = local.commit(
        files if ours == "ok" else local.write_masklets([masklet("b", label="late")]),
        [video_record("a", run_id="late", **as_(ours)), video_record("b", run_id="late")],
        run_id="late",
        expected_run_ids={"a": "r1", "b": "r1"},
    )
    assert done.version == first + 2
    assert done.superseded == (frozenset() if winner == "late" else {"a"})
    runs = {
        row["video_id"]: row["run_id"]
        for row in open_dataset(local.uri).videos().to_table().to_pylist()
    }
    assert runs == {"a": winner, "b": "late"}
    labels = [(m.video_id, m.label) for m in masklets_of(local)]
    assert labels == ([("a", "late")] if winner == "late" else []) + [("b", "late")]


def as_(status: Status) -> dict[str, Any]:
    if status == "failed":
        return {"status": status, "failure_kind": "undecodable", "num_masklets": 0}
    return {"status": status, "num_masklets": 0}


def test_a_commit_without_changes_makes_no_version(local: Dataset) -> None:
    first = publish(local, masklet("a"))
    files = local.write_masklets([masklet("a", label="late")])
    done = local.commit(files, [video_record("a", run_id="late")], run_id="late")
    assert done == CommitResult(first, frozenset({"a"}))
    assert masklets_of(local) == [masklet("a")]


def test_a_lost_answer_is_looked_up_in_the_log(
    local: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commit has landed and its writer is told that it has not."""
    real = DeltaTable.create_write_transaction

    def answers_lost(self: DeltaTable, *args: Any, **kwargs: Any) -> None:
        real(self, *args, **kwargs)
        raise OSError("Generic S3 error: connection reset by peer")

    monkeypatch.setattr(DeltaTable, "create_write_transaction", answers_lost)
    assert publish(local, masklet("a")) == 1
    assert masklets_of(local) == [masklet("a")]


def test_a_store_that_never_answers_is_named_and_not_other_writers(
    local: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks_off(self: DeltaTable, *args: object, **kwargs: object) -> None:
        raise OSError("Generic S3 error: operation timed out")

    monkeypatch.setattr(DeltaTable, "create_write_transaction", breaks_off)
    monkeypatch.setattr(transactions, "_MAX_TRIES", 3)
    with pytest.raises(StoreError, match=r"got 3 failures: .* does not answer; check the network"):
        publish(local, masklet("a"))


def test_a_checkpoint_keeps_which_versions_belong_together(local: Dataset) -> None:
    """A reader has only the checkpoint when old entries of the log are gone."""
    publish(local, masklet("a"))
    version = publish(local, masklet("b"))
    open_table(local.uri, "videos").create_checkpoint()
    for entry in Path(local.uri, "videos", "_delta_log").glob("*.json"):
        entry.unlink()
    assert masklets_version(open_table(local.uri, "videos")) == version == 2
    assert len(masklets_of(local)) == 2


def test_a_store_that_refuses_stops_the_run(
    local: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(self: DeltaTable, *args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(DeltaTable, "create_write_transaction", refuses)
    with pytest.raises(
        StoreError, match=r"^\$.output.uri: a commit must succeed, but .*No space left"
    ):
        publish(local, masklet("a"))


def test_many_writers_at_once(dataset: Dataset) -> None:
    """Every video of every writer is there once, whoever loses a race."""

    def write(number: int) -> None:
        for turn in range(3):
            video = f"v{number}-{turn}"
            publish(dataset, masklet(video), masklet("shared", label=video), run_id=video)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    rows = masklets_of(dataset)
    assert [m.video_id for m in rows] == [
        "shared",
        *sorted(f"v{n}-{t}" for n in range(4) for t in range(3)),
    ]
    runs = {
        row["video_id"]: row["run_id"]
        for row in open_dataset(dataset.uri).videos().to_table().to_pylist()
    }
    assert len(runs) == 13
    assert runs["shared"] == rows[0].label
    assert open_dataset(dataset.uri).videos().count_rows() == 13


def test_opening_a_missing_dataset_or_version(
    s3: "S3Server", tmp_path: Path, local: Dataset
) -> None:
    (tmp_path / "file").write_text("x")
    cases = [
        (
            str(tmp_path / "none"),
            f"no dataset at {tmp_path}/none: it has no table 'videos'; correct the",
        ),
        (str(tmp_path / "file"), f"no dataset at {tmp_path}/file; correct"),
        ("s3://no-such-bucket-here/d", "the bucket of s3://no-such-bucket-here/d"),
        (
            f"{s3.bucket()}/none",
            "has no table 'videos'; correct the uri, or start a run, which creates",
        ),
    ]
    for uri, message in cases:
        with pytest.raises(PreflightError) as caught:
            open_dataset(uri)
        assert "$." not in str(caught.value), "the uri is no config's"
        assert message in str(caught.value)
    with pytest.raises(PreflightError, match=r"the version of .* must be in \[0, 0\], got 9"):
        open_dataset(local.uri, 9)


def test_tables_with_other_columns_are_not_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    local = Dataset(str(tmp_path / "dataset"))
    with monkeypatch.context() as patch:
        fields = [field for field in SCHEMAS[VIDEOS] if field.name != "flags"]
        for module in (columns, delta):
            patch.setattr(module, "SCHEMAS", {**SCHEMAS, VIDEOS: pa.schema(fields)})
        local.ensure()
    with pytest.raises(
        PreflightError, match=r"the table 'videos' of .*, got others \(flags\) of an older version"
    ):
        local.ensure()


def test_the_tables_are_plain_delta(local: Dataset) -> None:
    publish(local, masklet("a"))
    table = DeltaTable(f"{local.uri}/masklets")
    assert table.metadata().partition_columns == ["bucket"]
    assert DeltaTable(f"{local.uri}/videos").to_pyarrow_table().num_rows == 1
