"""`plan --list` and `--json`: each video with its reason."""

import io
import json
import shutil
from pathlib import Path

import pytest
from rich.console import Console

from pvtt_flow.cli.output import estimate_text, plan_table
from pvtt_flow.dataset.dataset import Dataset
from pvtt_flow.dataset.maintenance.row_updates import mark_gone
from pvtt_flow.pipeline.pace import Pace
from pvtt_flow.pipeline.plan import Plan, Planned
from pvtt_flow.types import Source
from tests.cli.terminal import pvtt_flow
from tests.dataset.datasets import new_dataset, publish_videos
from tests.pipeline.runs import num_processed, sample, write_config


def test_each_video_with_its_reason(tmp_path: Path) -> None:
    videos = tmp_path / "videos"
    videos.mkdir()
    shutil.copy(sample("one_product.mp4"), videos / "mug.mp4")
    dataset: Dataset = new_dataset(tmp_path)
    publish_videos(dataset, ["old"], input_uri=str(videos))
    mark_gone(dataset.uri, gone=["old"], returned=[], at_ns=1, run_id="r2")
    config = write_config(tmp_path / "config.yaml", videos, dataset.uri)
    for command in (("plan", config), ("run", config, "--dry-run")):
        lines = pvtt_flow(*command, "--list").out.splitlines()
        new, gone = (line.split("\t") for line in lines)
        assert (new[0], new[2:]) == ("new", ["", str(videos / "mug.mp4")])
        assert gone[:2] == ["gone", "old"]
    shown = json.loads(pvtt_flow("plan", config, "--json").out)
    assert (shown["counts"]["new"], shown["counts"]["gone"], shown["to_process"]) == (1, 1, 1)
    num_frames = num_processed(sample("one_product.mp4"))
    assert shown["estimate"] == {"frames": num_frames, "seconds": None, "pace": None}
    shown = json.loads(pvtt_flow("plan", config, "--list", "--json").out)
    assert [video["reason"] for video in shown["videos"]] == ["new", "gone"]
    ended = pvtt_flow("run", config, "--list")
    assert ended.err == "error: --list prints a plan and must be with --dry-run, got no --dry-run\n"


def test_the_table_says_how_many_videos_have_which_detail() -> None:
    video = Source(video_id="mug", uri="/mug.mp4", etag="e", size_bytes=9)
    details = ("2 of 3 attempts", "1 of 3 attempts", "2 of 3 attempts")
    videos = tuple(Planned(video, "failed", detail) for detail in details)
    plan = Plan(videos=videos, process=frozenset(["failed"]))
    out = io.StringIO()
    Console(file=out, width=120).print(plan_table(plan, ""))
    assert "attempts left (2 with 2 of 3 attempts, 1 with 1 of 3 attempts)" in out.getvalue()


@pytest.mark.parametrize(
    ("num_frames", "frames_per_s", "text"),
    [
        (None, 10, ""),
        (0, 10, "about 0 frames"),
        (1234, None, "about 1,234 frames"),
        (300, 10, "about 300 frames, 30 s at 10 frames/s, as run r1"),
        (1200, 2.5, "about 1,200 frames, 8 min at 2.5 frames/s, as run r1"),
        (90_000, 10, "about 90,000 frames, 2.5 h at 10 frames/s, as run r1"),
    ],
)
def test_the_estimate_tells_frames_and_time(
    num_frames: int | None, frames_per_s: float | None, text: str
) -> None:
    pace = None if frames_per_s is None else Pace(run_id="r1", frames_per_s=frames_per_s)
    assert estimate_text(num_frames, pace) == text
