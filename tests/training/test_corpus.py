"""Shards of clips on disk."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from pvtt_flow.training.__main__ import app
from pvtt_flow.training.corpus import ShardJob, load, render_shard, shard_paths, write_shard
from pvtt_flow.training.segmenter.batch import _random_window


def write_clips(path: Path, count: int, color: int) -> None:
    frames = np.full((count, 2, 256, 256, 3), color, np.uint8)
    labels = np.zeros((count, 2, 256, 256), np.uint8)
    labels[..., :128, :128] = 3
    write_shard(path, frames=frames, labels=labels, targets=np.ones(count, np.uint8))


def test_a_shard_is_loaded_at_a_smaller_size(tmp_path: Path) -> None:
    write_clips(tmp_path / "train_08_00000.npz", 1, 90)
    (path,) = shard_paths(tmp_path, "train", 8)
    shard = load(path, 64)
    assert shard.frames.shape == (1, 2, 64, 64, 3)
    assert shard.frames.min() == shard.frames.max() == 90
    assert (shard.labels == 3).mean() == 0.25
    assert load(path).labels.shape == (1, 2, 256, 256)


def test_clips_of_small_shards_are_as_likely_as_others(tmp_path: Path) -> None:
    write_clips(tmp_path / "train_08_00000.npz", 9, 10)
    write_clips(tmp_path / "train_08_cycles_00000.npz", 1, 200)
    shards = [load(path, 16) for path in shard_paths(tmp_path, "train", 8)]
    assert [len(shard.frames) for shard in shards] == [9, 1]
    rng = np.random.default_rng(0)
    traced = [_random_window(rng, shards, 1)[0].max() == 200 for _ in range(400)]
    assert 0.05 < np.mean(traced) < 0.16


def test_renderers_have_shards_of_their_own(tmp_path: Path) -> None:
    job = ShardJob(tmp_path, tmp_path, "train", 8, 2)
    assert job.path.name == "train_08_00002.npz"
    assert job.indices == range(100, 150)
    traced = replace(job, renderer="cycles")
    assert traced.path.name == "train_08_cycles_00002.npz"
    assert traced.indices == range(10, 15)


def test_a_finished_shard_is_not_rendered_again(tmp_path: Path) -> None:
    job = ShardJob(tmp_path, tmp_path / "no assets", "train", 8, 0)
    job.path.write_bytes(b"finished")
    assert render_shard(job) == job.path
    assert job.path.read_bytes() == b"finished"


COMMANDS = ("render", "pack", "sheet", "segmenter", "detector", "evaluate")


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_explain_themselves(command: str) -> None:
    shown = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "100"})
    assert shown.exit_code == 0
    assert "--work" in shown.output


def test_a_size_without_a_recipe_is_refused() -> None:
    refused = CliRunner().invoke(app, ["segmenter", "--side-px", "200"])
    assert refused.exit_code == 2
    assert "must be one of 128, 256, got 200" in refused.output
