"""Views of an opened dataset: they stay at their version, and read only what can match."""

import pickle
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from pyarrow.dataset import field

from pvtt_flow import load_profile, open_dataset
from pvtt_flow.core.fitness import judge_fitness
from pvtt_flow.core.fitness_rows import FitnessRows
from pvtt_flow.dataset.dataset import Dataset
from pvtt_flow.dataset.maintenance.row_updates import mark_gone
from pvtt_flow.errors import PreflightError
from pvtt_flow.pipeline.ray_session import connect_to_ray
from pvtt_flow.types import VideoRecord
from tests.dataset.dataset_rows import masklet, measurements
from tests.dataset.datasets import new_dataset, publish

GOOD = field("qc", "presence") > 0.5


@pytest.fixture(params=["local", "s3"])
def dataset(request: pytest.FixtureRequest, tmp_path: Path) -> Dataset:
    """Three masklets in a file each, in a folder and in a bucket."""
    root = str(tmp_path) if request.param == "local" else request.getfixturevalue("s3").bucket()
    made = Dataset(f"{root}/dataset")
    made.ensure()
    publish(made, masklet("a", qc=measurements(presence=0.9)))
    publish(made, masklet("b", verdict="reject", qc=measurements(presence=0.1)))
    publish(made, masklet("c", qc=None, verdict=None))
    return made


@pytest.fixture(scope="module")
def ray_here() -> Iterator[None]:
    with connect_to_ray():
        yield


def test_a_snapshot_stays_at_its_version(dataset: Dataset) -> None:
    opened = open_dataset(dataset.uri)
    travelled = pickle.loads(pickle.dumps(opened))  # noqa: S301
    publish(dataset, masklet("a", label="new"), masklet("d"), run_id="r2")
    for view in (opened, travelled, open_dataset(dataset.uri, 3)):
        assert view.version == 3
        assert sorted(view.videos().to_table()["video_id"].to_pylist()) == ["a", "b", "c"]
        assert set(view.masklets().to_table()["label"].to_pylist()) == {"mug"}
        assert len(view.find_videos("")) == 3
    assert open_dataset(dataset.uri).version == 4


def test_duckdb(dataset: Dataset) -> None:
    query = open_dataset(dataset.uri).duckdb().sql
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


def take_away(dataset: Dataset, *video_ids: str) -> None:
    mark_gone(dataset.uri, gone=video_ids, returned=[], at_ns=1, run_id="r2")


def test_gone_videos_are_left_out(dataset: Dataset) -> None:
    before = open_dataset(dataset.uri)
    take_away(dataset, "a")
    opened = open_dataset(dataset.uri)
    for view in (opened, pickle.loads(pickle.dumps(opened))):  # noqa: S301
        assert sorted(view.videos().to_table()["video_id"].to_pylist()) == ["b", "c"]
        assert sorted(view.masklets().to_table()["video_id"].to_pylist()) == ["b", "c"]
        assert view.masklets().to_table(filter=GOOD).num_rows == 0
        assert [record.video_id for record in view.list_videos()] == ["b", "c"]
        assert view.find_videos("a") == []
        assert view.video_as(VideoRecord, "a") is None
        assert [m.video_id for m in view.masklets_of("a", "b")] == ["b"]
        assert view.clips(3).index.rows["video_id"].to_pylist() == ["b"]
        assert len(view.clips(3, where=GOOD)) == 0
        counts = "SELECT count(*) FROM videos UNION ALL SELECT count(*) FROM masklets"
        assert view.duckdb().sql(counts).fetchall() == [(2,), (2,)]
    for view in (before, open_dataset(dataset.uri, include_gone=True)):
        assert view.videos().count_rows() == view.masklets().count_rows() == 3
        assert len(view.clips(3, where=GOOD)) == 1
        assert view.find_videos("a") == [view.video_as(VideoRecord, "a")]
    mark_gone(dataset.uri, gone=[], returned=["a"], at_ns=2, run_id="r3")
    assert len(open_dataset(dataset.uri).clips(3, where=GOOD)) == 1


def test_ids_that_are_spelled_alike(tmp_path: Path) -> None:
    dataset = new_dataset(tmp_path)
    publish(dataset, *map(masklet, ("red-mug", "red-mugs", "blue-cup")))
    opened = open_dataset(dataset.uri)
    assert opened.nearest_ids("rad-mug", limit=5) == ["red-mug", "red-mugs"]
    assert opened.nearest_ids("rad-mug", limit=1) == ["red-mug"]
    assert opened.nearest_ids("42", limit=5) == []


def test_all_videos_are_gone(dataset: Dataset) -> None:
    take_away(dataset, "a", "b", "c")
    opened = open_dataset(dataset.uri)
    assert opened.videos().count_rows() == opened.masklets().count_rows() == 0
    assert len(opened.clips(3)) == 0


SKU = pc.map_lookup(field("attributes"), "sku", "first")


def test_videos_are_chosen_by_their_columns(dataset: Dataset) -> None:
    publish(dataset, masklet("d"), masklet("d", 1), height_px=1080, attributes={"sku": "mug"})
    publish(dataset, masklet("e"), height_px=720, attributes={"sku": "mug", "split": "test"})
    publish(dataset, masklet("f"), height_px=None, attributes={"split": "test"})
    take_away(dataset, "e")
    for where, expected in (
        (field("height_px") >= 720, ["d"]),
        (~(field("height_px") >= 720), ["a", "b", "c"]),
        (SKU == "mug", ["d"]),
        (field("video_id") == "nosuch", []),
    ):
        opened = open_dataset(dataset.uri, videos_where=where)
        for view in (opened, pickle.loads(pickle.dumps(opened))):  # noqa: S301
            assert [record.video_id for record in view.list_videos()] == expected
            found = view.masklets().to_table()["video_id"].to_pylist()
            assert sorted(set(found)) == expected
            assert {m.video_id for m in view.masklets_of(*"abcdef")} == set(expected)
            assert set(view.clips(3).index.rows["video_id"].to_pylist()) == {*expected} - {"c"}
            (count,) = view.duckdb().sql("SELECT count(*) FROM masklets").fetchall()
            assert count == (len(found),)
    both = open_dataset(dataset.uri, include_gone=True, videos_where=SKU == "mug")
    assert [record.video_id for record in both.list_videos()] == ["d", "e"]
    assert both.masklets().to_table(filter=field("object_id") == 1).num_rows == 1
    with pytest.raises(pa.ArrowInvalid, match=r"No match for FieldRef.Name\(verdict\)"):
        open_dataset(dataset.uri, videos_where=field("verdict") == "accept")


@pytest.mark.usefixtures("ray_here")
def test_videos_are_chosen_by_their_columns_for_ray(dataset: Dataset) -> None:
    publish(dataset, masklet("d"), attributes={"sku": "mug"})
    opened = open_dataset(dataset.uri, videos_where=SKU == "mug")
    assert opened.ray(columns=["video_id"]).take_all() == [{"video_id": "d"}]


@pytest.mark.usefixtures("ray_here")
def test_gone_videos_are_left_out_of_ray(dataset: Dataset) -> None:
    take_away(dataset, "b")
    opened = open_dataset(dataset.uri)
    for table in ("videos", "masklets"):
        rows = opened.ray(table, columns=["video_id"]).take_all()
        assert sorted(row["video_id"] for row in rows) == ["a", "c"]
    rows = opened.ray(columns=["video_id"], where=GOOD).take_all()
    assert rows == [{"video_id": "a"}]


@pytest.mark.usefixtures("ray_here")
def test_ray(dataset: Dataset) -> None:
    opened = open_dataset(dataset.uri)
    rows = opened.ray(columns=["video_id", "frames"], where=GOOD).take_all()
    assert [row["video_id"] for row in rows] == ["a"]
    assert [frame["pts_ns"] for frame in rows[0]["frames"]] == [0, 40_000_000, 80_000_000]


@pytest.mark.usefixtures("ray_here")
def test_ray_opens_only_files_that_can_match(dataset: Dataset) -> None:
    if "://" in dataset.uri:
        pytest.skip("files are taken away on the disk only")
    opened = open_dataset(dataset.uri)
    matching = {file.path for file in opened.masklets().get_fragments(filter=GOOD)}
    for path in set(opened.masklets().files) - matching:
        Path(path).unlink()
    assert opened.ray(columns=["video_id"], where=GOOD).take_all() == [{"video_id": "a"}]
    assert opened.ray("videos").count() == 3
    none = opened.ray(columns=["video_id"], where=field("verdict") == "review")
    assert (none.take_all(), none.schema().names) == ([], ["video_id"])


def test_masklets_that_were_not_measured_have_no_clips(dataset: Dataset) -> None:
    clips = open_dataset(dataset.uri).clips(3)
    assert sorted(clips.index.rows["video_id"].to_pylist()) == ["a", "b"]
    assert clips.index.num_too_short == 1


def test_an_unknown_table_is_refused(dataset: Dataset) -> None:
    with pytest.raises(ValueError, match=r"^table must be one of videos, masklets, got 'runs'$"):
        open_dataset(dataset.uri).ray("runs")


def test_a_missing_dataset_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PreflightError, match=r"^no dataset at "):
        open_dataset(str(tmp_path))


def test_fitness(dataset: Dataset) -> None:
    publish(dataset, masklet("d", num_frames=100, width_px=640, height_px=360))
    publish(dataset, masklet("e", 0, num_frames=30), masklet("e", 1, num_frames=90), run_id="r2")
    opened = open_dataset(dataset.uri)
    diffueraser, vace = load_profile("diffueraser"), load_profile("vace")
    found = {(row.video_id, row.masklet_id[-4:]): row for row in opened.fitness(diffueraser)}
    verdicts = {key: row.fitness.verdict for key, row in found.items()}
    assert verdicts == {
        ("a", "o000"): "unfit", ("b", "o000"): "unfit", ("c", "o000"): "unfit",
        ("d", "o000"): "fit", ("e", "o000"): "fit", ("e", "o001"): "fit",
    }  # fmt: skip
    assert found["b", "o000"].verdict == "reject"
    assert found["e", "o001"].fitness.num_frames == 90
    # As from the rows themselves, masks and all.
    for row in opened.fitness(diffueraser, vace):
        (stored,) = [m for m in opened.masklets_of(row.video_id) if m.masklet_id == row.masklet_id]
        size = {"width_px": stored.width_px, "height_px": stored.height_px}
        profile = vace if row.fitness.profile == "vace" else diffueraser
        assert row.fitness == judge_fitness(profile, FitnessRows.of(stored.frames, **size))


def test_fitness_of_masklets_that_match(dataset: Dataset) -> None:
    take_away(dataset, "b")
    opened = open_dataset(dataset.uri)
    profile = load_profile("vace")
    assert sorted(row.video_id for row in opened.fitness(profile)) == ["a", "c"]
    assert [row.video_id for row in opened.fitness(profile, where=GOOD)] == ["a"]
    assert list(opened.fitness(profile, where=field("video_id") == "none")) == []
    assert list(opened.fitness()) == []
