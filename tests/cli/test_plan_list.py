"""`plan --list` and `--json`: each video with its reason."""

import json
import shutil
from pathlib import Path

from pvtt_flow.dataset.dataset import Dataset
from pvtt_flow.dataset.maintenance.row_updates import mark_gone
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
