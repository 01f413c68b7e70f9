"""`show` and `preview`, on the dataset of a real run."""

import shutil
from pathlib import Path

from PIL import Image

from pvtt_flow.video.read import read_frames
from tests.cli.terminal import pvtt_flow
from tests.pipeline.runs import MixedRun, num_good_frames
from tests.readers.sample_dataset import processed


def test_show_counts_what_the_dataset_holds(mixed_run: MixedRun) -> None:
    ended = pvtt_flow("show", mixed_run.dataset)
    assert ended.code == 0
    rows = {
        tuple(cell.strip() for cell in line.split("│")[1:-1])
        for line in ended.out.splitlines()
        if line.startswith("│")
    }
    records = mixed_run.video_records().values()
    assert ("videos", "9") in rows
    assert ("frames", str(sum(record.num_frames for record in records))) in rows
    assert {("ok", "3"), ("failed", "6")} <= rows
    for record in records:
        if record.failure_kind is not None:
            row = (
                record.uri,
                "inspect",
                record.failure_kind,
                record.failure_message,
            )
            assert row in rows


def test_preview_paints_a_video_that_plays(mixed_run: MixedRun, tmp_path: Path) -> None:
    ended = pvtt_flow("preview", mixed_run.dataset, "one_product", "--out", tmp_path / "out")
    assert ended.code == 0, ended.err
    record = mixed_run.video_records()["one_product.mp4"]
    movie, sheet = (tmp_path / "out" / f"{record.video_id}.{ending}" for ending in ("mp4", "png"))
    num_frames = num_good_frames(mixed_run.videos / "one_product.mp4")
    assert f"{num_frames} frames: {movie}" in ended.out
    with movie.open("rb") as file:
        frames = list(read_frames(file))
    assert len(frames) == num_frames
    assert frames[0].rgb.shape == (360, 640, 3)
    with Image.open(sheet) as picture:
        assert picture.format == "PNG"
        assert min(picture.size) > 100


def test_preview_of_a_failed_video_says_why(mixed_run: MixedRun, tmp_path: Path) -> None:
    ended = pvtt_flow("preview", mixed_run.dataset, "zero_length", "--out", tmp_path)
    assert ended.code == 0, ended.err
    assert "no masks to draw: failed the file must have content" in ended.out
    assert [path.suffix for path in tmp_path.iterdir()] == [".png"]


def test_preview_of_a_video_that_has_changed(tmp_path: Path) -> None:
    made = processed(tmp_path)
    shutil.copy(made.videos / "a.mp4", made.videos / "b.mp4")
    ended = pvtt_flow("preview", made.uri, "b", "--out", tmp_path)
    assert ended.code == 1
    assert "b.mp4 must be the video that was processed (" in ended.err
