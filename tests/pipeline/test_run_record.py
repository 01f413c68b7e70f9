"""Records of runs: written at the start, and again however a run ends."""

import json
from pathlib import Path
from typing import Any

import pytest

from pvtt_flow.config.loading import parse
from pvtt_flow.config.schema import RunConfig
from pvtt_flow.errors import ClusterError
from pvtt_flow.pipeline.run_record import latest_runs, record_uri, recorded, statuses_of
from pvtt_flow.pipeline.summary import Summary
from tests.cli.terminal import pvtt_flow
from tests.dataset.datasets import new_dataset, publish_videos


@pytest.fixture
def config(tmp_path: Path) -> RunConfig:
    dataset = new_dataset(tmp_path)
    publish_videos(dataset, "a", run_id="r1")
    uri = "https://user:secret@host/a.mp4?X-Amz-Signature=secret"
    return parse({"input": {"uri": uri}, "output": {"uri": dataset.uri}, "sampling": {"stride": 7}})


def summary() -> Summary:
    return Summary(run_id="r1", num_planned=1, plan={"new": 1})


def record(config: RunConfig) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(Path(record_uri(config.output.uri, "r1")).read_text())
    return loaded


def test_the_settings_are_there_from_the_start(config: RunConfig) -> None:
    counts = summary()
    with recorded(config, counts):
        assert record(config)["status"] == "running"
        assert record(config)["config"]["sampling"]["stride"] == 7
        assert record(config)["config"]["input"]["uri"] == "https://host/a.mp4"
        counts.num_videos = 1
    assert (record(config)["status"], record(config)["summary"]["num_videos"]) == ("ok", 1)
    assert "error" not in record(config)


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (ClusterError("the cluster is gone"), "failed", "the cluster is gone"),
        (RuntimeError("with a secret"), "failed", "RuntimeError"),
        (KeyboardInterrupt(), "stopped", "KeyboardInterrupt"),
        (SystemExit(143), "stopped", "SystemExit"),
    ],
)
def test_a_run_that_breaks_off(
    config: RunConfig, error: BaseException, status: str, said: str
) -> None:
    with pytest.raises(type(error)), recorded(config, summary()):
        raise error
    assert (record(config)["status"], record(config)["error"]) == (status, said)
    assert f"r1 ({status})" in pvtt_flow("history", config.output.uri).out


def test_a_killed_run_is_shown(config: RunConfig) -> None:
    with recorded(config, summary()):
        written = Path(record_uri(config.output.uri, "r1")).read_bytes()
    assert "has not ended" not in pvtt_flow("show", config.output.uri).out
    Path(record_uri(config.output.uri, "r1")).write_bytes(written.replace(b'"ok"', b'"running"'))
    assert "r1 (running or killed)" in pvtt_flow("history", config.output.uri).out
    assert (
        "run r1 has not ended: it is running, or was killed\n"
        in pvtt_flow("show", config.output.uri).out
    )


def test_other_files_and_older_records_say_nothing(config: RunConfig) -> None:
    uri = config.output.uri
    assert latest_runs(uri, 9) == []
    runs = Path(uri, "runs")
    runs.mkdir()
    for name, text in {"r0.json": "{}", "r1.json": "[]", "r2.json": "{", "r2.png": ""}.items():
        (runs / name).write_text(text)
    assert latest_runs(uri, 2) == ["r1", "r2"]
    assert statuses_of(uri, ["r0", "r1", "r2", "r3"]) == {}
