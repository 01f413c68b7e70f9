"""The pace of past runs, by which a plan estimates time."""

import json
import shutil
from pathlib import Path

from pvtt_flow.config.loading import load
from pvtt_flow.config.schema import RunConfig
from pvtt_flow.pipeline.pace import Pace, past_pace
from pvtt_flow.pipeline.run_record import record_uri, recorded
from pvtt_flow.pipeline.summary import Summary
from tests.cli.terminal import pvtt_flow
from tests.pipeline.runs import MixedRun, num_processed, sample, write_config


def config_with(folder: Path, *overrides: str) -> RunConfig:
    path = write_config(folder / "config.yaml", folder, folder / "dataset")
    return load(path, overrides)


def record(config: RunConfig, run_id: str, num_frames: int, wall_s: float) -> None:
    summary = Summary(run_id=run_id, num_planned=1, plan={"new": 1}, num_frames=num_frames)
    with recorded(config, summary):
        summary.wall_s = wall_s


def test_no_run_yet(tmp_path: Path) -> None:
    assert past_pace(config_with(tmp_path)) is None


def test_the_largest_run_with_the_same_settings_counts(tmp_path: Path) -> None:
    config = config_with(tmp_path)
    record(config, "r1", 10, 10.0)
    record(config, "r2", 1000, 100.0)
    record(config, "r3", 20, 10.0)
    record(config_with(tmp_path, "tracker.max_concurrent_shots=2"), "r4", 9000, 100.0)
    record(config, "r5", 0, 0.0)
    assert past_pace(config) == Pace(run_id="r2", frames_per_s=10.0)
    # Neither the videos nor the thresholds of verdicts change how long a frame takes.
    other = config_with(tmp_path, "input.uri=/other", "qc.accept_probability=0.5")
    assert past_pace(other) == past_pace(config)
    assert past_pace(config_with(tmp_path, "sampling.stride=2")) is None


def test_runs_that_broke_off_and_damaged_records_do_not_count(tmp_path: Path) -> None:
    config = config_with(tmp_path)
    record(config, "r1", 10, 10.0)
    for run_id, text in (("r2", "{"), ("r3", "[]"), ("r4", "{}")):
        Path(record_uri(config.output.uri, run_id)).write_text(text)
    broken = json.loads(Path(record_uri(config.output.uri, "r1")).read_text())
    Path(record_uri(config.output.uri, "r1")).write_text(json.dumps({**broken, "status": "failed"}))
    assert past_pace(config) is None


def test_a_plan_after_a_run_tells_the_time(mixed_run: MixedRun, tmp_path: Path) -> None:
    shutil.copy(sample("one_product.mp4"), tmp_path / "new.mp4")
    pace = past_pace(load(mixed_run.config, []))
    assert pace is not None
    asked = ("plan", mixed_run.config, "--set", f"input.uri={tmp_path}")
    estimate = json.loads(pvtt_flow(*asked, "--json").out)["estimate"]
    num_frames = num_processed(sample("one_product.mp4"))
    assert estimate["frames"] == num_frames
    assert estimate["seconds"] == num_frames / pace.frames_per_s
    assert f"frames/s, as run {pace.run_id}" in pvtt_flow(*asked).out
