"""The dataset: committed whole, replaced whole, read at versions that belong together."""

import json
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pytest
from deltalake import DeltaTable
from storage_rows import masklet, measurements, seal

from pvtt_flow.data import Masklet, Seal
from pvtt_flow.dataset import open_dataset
from pvtt_flow.errors import PreflightError
from pvtt_flow.storage import delta
from pvtt_flow.storage.arrow import from_table, to_table
from pvtt_flow.storage.commits import Dataset
from pvtt_flow.storage.delta import open_table
from pvtt_flow.storage.ledger import LedgerEntry
from pvtt_flow.storage.tables import SCHEMAS, VIDEOS, MaskletFile, bucket_of


@pytest.fixture(params=["local", "s3"])
def dataset(request, tmp_path):
    """A new dataset, in a folder and in a bucket."""
    root = str(tmp_path) if request.param == "local" else request.getfixturevalue("s3").bucket()
    made = Dataset(f"{root}/dataset")
    made.ensure()
    return made


@pytest.fixture
def local(tmp_path):
    made = Dataset(str(tmp_path / "dataset"))
    made.ensure()
    return made


def publish(dataset, *masklets, run_id="r1", **changes):
    """Write and commit masklets with a seal for each of their videos."""
    files = dataset.write_masklets(masklets)
    videos = dict.fromkeys(m.video_id for m in masklets)
    seals = [seal(video, run_id=run_id, **changes) for video in videos]
    return dataset.commit(files, seals, run_id=run_id)


def masklets_of(dataset):
    rows = from_table(Masklet, dataset.masklets().to_table())
    return sorted(rows, key=lambda row: row.masklet_id)


def same_bucket(count):
    """Ids of videos that share a partition, and so may share a file."""
    ids = [f"video-{n}" for n in range(200)]
    return [video for video in ids if bucket_of(video) == bucket_of(ids[0])][:count]


def test_what_is_committed_is_read(dataset):
    assert dataset.exists()
    assert not Dataset(f"{dataset.uri}/elsewhere").exists()
    dataset.ensure()
    rows = [masklet("a"), masklet("a", 1, qc=None, verdict=None), masklet("b", reasons=("x", "y"))]
    seals = [seal("a", num_masklets=2), seal("b"), seal("c", status="empty", num_masklets=0)]
    files = dataset.write_masklets(rows)
    assert dataset.masklets().count_rows() == 0
    version = dataset.commit(files, seals, run_id="r1", message="first")
    assert version == 1
    assert masklets_of(dataset) == rows
    assert from_table(Seal, dataset.videos().to_table()) == seals
    assert dataset.ledger()["c"] == LedgerEntry(
        video_id="c", etag="e1", size_bytes=1000, status="empty", attempts=0, work_key="k1"
    )
    assert dataset.sweep() == 0


def test_a_video_is_replaced_and_its_neighbours_stay(dataset):
    one, two = same_bucket(2)
    publish(dataset, masklet(one), masklet(one, 1), masklet(two))
    before = dataset.videos().count_rows()
    publish(dataset, masklet(one, label="new"), run_id="r2")
    assert masklets_of(dataset) == sorted(
        [masklet(one, label="new"), masklet(two)], key=lambda row: row.masklet_id
    )
    assert dataset.videos().count_rows() == before
    seals = from_table(Seal, dataset.videos().to_table())
    assert {row.video_id: row.run_id for row in seals} == {one: "r2", two: "r1"}


def test_a_crash_between_the_two_commits_is_never_read_and_is_swept(dataset, monkeypatch):
    publish(dataset, masklet("a"))
    for _ in range(2):
        with monkeypatch.context() as patch:
            patch.setattr(Dataset, "_seal", crash)
            with pytest.raises(KeyboardInterrupt):
                publish(dataset, masklet("a", label="new"), masklet("b"), run_id="r2")
        assert masklets_of(dataset) == [masklet("a")]
        assert dataset.sweep() == 2
        assert dataset.sweep() == 0
        assert masklets_of(dataset) == [masklet("a")]
    publish(dataset, masklet("b"), run_id="r3")
    assert masklets_of(dataset) == [masklet("a"), masklet("b")]
    assert dataset.sweep() == 0


def crash(*args, **kwargs):
    raise KeyboardInterrupt


def test_a_crash_in_the_very_first_commit(local, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(Dataset, "_seal", crash)
        with pytest.raises(KeyboardInterrupt):
            publish(local, masklet("a"))
    assert local.masklets().count_rows() == 0
    assert local.sweep() == 1
    publish(local, masklet("a"))
    assert masklets_of(local) == [masklet("a")]


def test_a_failure_takes_the_earlier_masklets_away(local):
    publish(local, masklet("a"), masklet("b"))
    failed = seal("a", status="failed", failure_kind="undecodable", attempts=1, num_masklets=0)
    local.commit((), [failed], run_id="r2")
    assert masklets_of(local) == [masklet("b")]
    assert local.ledger()["a"].status == "failed"
    assert local.ledger()["a"].attempts == 1


def test_versions_belong_together(local):
    first = publish(local, masklet("a"))
    second = publish(local, masklet("a", label="new"), masklet("b"), run_id="r2")
    old = open_dataset(local.uri, first)
    assert masklets_of(old) == [masklet("a")]
    assert list(old.ledger()) == ["a"]
    assert masklets_of(open_dataset(local.uri, second)) == masklets_of(open_dataset(local.uri))
    notes = open_table(local.uri, "videos").history(1)[0]
    assert (notes["run_id"], notes["masklets_version"]) == ("r2", 2)


def test_files_say_what_is_in_them(local):
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


def test_reading_one_video_opens_one_file(local):
    publish(local, *(masklet(f"video-{n}") for n in range(40)))
    import pyarrow.dataset as ds

    where = ds.field("video_id") == "video-7"
    files = list(local.masklets().get_fragments(filter=where))
    assert len(files) < len(list(local.masklets().get_fragments()))
    only = where & (ds.field("bucket") == bucket_of("video-7"))
    assert len(list(local.masklets().get_fragments(filter=only))) == 1
    assert local.masklets().to_table(filter=where).num_rows == 1


def test_what_does_not_belong_together_is_refused(local):
    files = local.write_masklets([masklet("a")])
    with pytest.raises(ValueError, match=r"must be committed with their seals, got none: \{'a'\}"):
        local.commit(files, [seal("b")], run_id="r")
    with pytest.raises(ValueError, match=r"sealed once in a commit, got twice: \['a'\]"):
        local.commit((), [seal("a"), seal("a")], run_id="r")


def test_two_writers_of_the_same_rows(local, monkeypatch):
    """The one who is late is told; nothing of his is seen."""
    publish(local, masklet("a"))
    files = local.write_masklets([masklet("a", label="late")])
    seal_ = Dataset._seal

    def overtaken(self, *args):
        monkeypatch.setattr(Dataset, "_seal", seal_)
        local.sweep()
        publish(local, masklet("a", label="early"), run_id="r2")
        return seal_(self, *args)

    monkeypatch.setattr(Dataset, "_seal", overtaken)
    with pytest.raises(PreflightError, match="another run has changed the same rows: wait for it"):
        local.commit(files, [seal("a", run_id="late")], run_id="late")
    assert masklets_of(local) == [masklet("a", label="early")]


def test_duckdb(dataset):
    publish(
        dataset,
        masklet("a"),
        masklet("b", verdict="reject", qc=measurements(presence=0.1)),
        masklet("c", qc=None, verdict=None),
    )
    query = dataset.duckdb().sql
    assert query("SELECT count(*), sum(num_frames) FROM videos").fetchall() == [(3, 9)]
    assert query("SELECT video_id FROM masklets WHERE qc.presence < 0.3").fetchall() == [("b",)]
    by_verdict = "SELECT verdict, count(*) FROM masklets GROUP BY ALL ORDER BY ALL"
    assert query(by_verdict).fetchall() == [("accept", 1), ("reject", 1), (None, 1)]
    frames = """
        SELECT m.video_id, v.uri, f.frame_index, f.box_xyxy[3] - f.box_xyxy[1] AS width_px, f.flags
        FROM (SELECT video_id, UNNEST(frames) AS f FROM masklets WHERE video_id = 'a') m
        JOIN videos v USING (video_id) ORDER BY f.frame_index
    """
    assert query(frames).fetchall() == [
        ("a", "/videos/a.mp4", 0, 2, []),
        ("a", "/videos/a.mp4", 1, None, ["absent"]),
        ("a", "/videos/a.mp4", 2, 2, []),
    ]


def test_many_commits_at_once_on_s3_all_land_or_say_so(s3):
    """SeaweedFS keeps the conditional put, on which every commit rests."""
    dataset = Dataset(f"{s3.bucket()}/dataset")
    dataset.ensure()

    def attempt(number):
        try:
            publish(dataset, masklet(f"v{number}"), run_id=f"r{number}")
        except PreflightError:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        landed = sum(pool.map(attempt, range(4)))
    assert landed >= 1
    assert dataset.videos().count_rows() == landed


def test_opening_what_is_not_there(s3, tmp_path, local):
    (tmp_path / "file").write_text("x")
    cases = [
        (str(tmp_path / "none"), f"but {tmp_path}/none has no table 'videos': correct the uri, or"),
        (str(tmp_path / "file"), f"but there is nothing at {tmp_path}/file: correct"),
        ("s3://no-such-bucket-here/d", "but the bucket of s3://no-such-bucket-here/d"),
        (f"{s3.bucket()}/none", "has no table 'videos': correct the uri, or let a run make the"),
    ]
    for uri, message in cases:
        with pytest.raises(PreflightError) as caught:
            open_dataset(uri)
        assert str(caught.value).startswith("$.output.uri: expected a dataset, but ")
        assert message in str(caught.value)
    with pytest.raises(PreflightError, match=r"expected a version from 0 to 0 of .* number 9"):
        open_dataset(local.uri, 9)


def test_tables_with_other_columns_are_not_written_to(tmp_path, monkeypatch):
    local = Dataset(str(tmp_path / "dataset"))
    with monkeypatch.context() as patch:
        fields = [field for field in SCHEMAS[VIDEOS] if field.name != "flags"]
        patch.setattr(delta, "SCHEMAS", {**SCHEMAS, VIDEOS: pa.schema(fields)})
        local.ensure()
    with pytest.raises(PreflightError) as caught:
        local.ensure()
    assert str(caught.value) == (
        f"$.output.uri: expected a dataset of this version, but in {local.uri} the table 'videos' "
        "has other columns (flags): give a new folder"
    )


def test_the_tables_are_plain_delta(local):
    publish(local, masklet("a"))
    table = DeltaTable(f"{local.uri}/masklets")
    assert table.metadata().partition_columns == ["bucket"]
    assert DeltaTable(f"{local.uri}/videos").to_pyarrow_table().num_rows == 1
