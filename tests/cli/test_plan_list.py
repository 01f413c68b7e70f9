"""`plan --list` and `--json`: each video with its reason."""

import io
import json
import shutil
from pathlib import Path

from rich.console import Console

from pvtt_flow.cli.output import plan_table
from pvtt_flow.dataset.dataset import Dataset
from pvtt_flow.dataset.maintenance.row_updates import mark_gone
from pvtt_flow.pipeline.plan import Plan, Planned
from pvtt_flow.types import Source
from tests.cli.terminal import pvtt_flow
from tests.dataset.datasets import new_dataset, publish_videos
from tests.pipeline.runs import sample, write_config


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
    Console(file=out, width=120).print(plan_table(plan, None))
    assert "attempts left (2 with 2 of 3 attempts, 1 with 1 of 3 attempts)" in out.getvalue()
