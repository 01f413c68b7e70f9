"""Broken devices and deadly videos on real Ray: who gets a failed attempt, and who does not."""

import re
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import yaml

from pvtt_flow import open_dataset
from pvtt_flow.cli.options import load_config
from pvtt_flow.config.schema import RunConfig
from pvtt_flow.errors import ClusterError
from pvtt_flow.pipeline import process
from pvtt_flow.pipeline.run import execute, prepare
from pvtt_flow.stages import factory
from pvtt_flow.types import VideoRecord
from tests.pipeline import faulty_stages
from tests.pipeline.faulty_stages import SICK_CPUS
from tests.pipeline.test_run import Recorder
from tests.slow.flow_command import REPOSITORY, SAMPLES
from tests.slow.ray_cluster import running_cluster
from tests.slow.ray_node import joined_node

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

Stages = Callable[..., object]


# Calls are repeated as soon as a process is there again.
RETRY_AT_ONCE = {
    "RAY_task_actor_unavailable_retry_delay_base_ms": "100",
    "RAY_task_actor_unavailable_retry_max_delay_ms": "500",
}

# Ray gives up a node that does not answer for 15 s, which a busy machine may take.
PATIENT_CLUSTER = {"RAY_health_check_failure_threshold": "60"}


@pytest.fixture(autouse=True)
def no_models(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in RETRY_AT_ONCE.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(factory, "detect", faulty_stages.healthy)
    # However few videos there are, the driver looks for sick machines while they are processed.
    monkeypatch.setattr(process, "_CHECK_INTERVAL_S", 0.01)


def config(home: Path, *names: str, **sections: Mapping[str, object]) -> RunConfig:
    """Config for a folder with copies of a sample under these names."""
    videos = home / "videos"
    videos.mkdir(exist_ok=True)
    for name in names:
        shutil.copy(SAMPLES / "one_product.mp4", videos / f"{name}.mp4")
    tree = {
        "input": {"uri": str(videos)},
        "output": {"uri": str(home / "dataset")},
        "run": {"commit_interval_s": 0.2, "max_attempts": 1},
        **sections,
    }
    path = home / "config.yaml"
    path.write_text(yaml.safe_dump(tree))
    return load_config(path, [])


def run(config: RunConfig) -> dict[str, VideoRecord]:
    execute(prepare(config), Recorder())
    return records(config)


def records(config: RunConfig) -> dict[str, VideoRecord]:
    found = open_dataset(config.output.uri).find_videos("")
    return {Path(record.uri).stem: record for record in found}


def attempts(rows: Mapping[str, VideoRecord]) -> dict[str, tuple[str, int]]:
    return {name: (record.status, record.attempts) for name, record in rows.items()}


def test_bad_videos_get_a_row_and_those_beside_them_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two videos kill the processes that work on them, and one makes its batch fail."""
    kinds = {
        "deadly-in-inspect": ("inspect", "worker_crash"),
        "bad-in-detect": ("propagate", "internal"),  # as `PassOn` calls itself
        "deadly-in-propagate": ("propagate", "worker_crash"),
    }
    inspect, detect, propagate = kinds
    monkeypatch.setattr(factory, "inspect", partial(faulty_stages.dies_of, inspect))
    monkeypatch.setattr(factory, "detect", partial(faulty_stages.fails_with, detect))
    monkeypatch.setattr(factory, "propagate", partial(faulty_stages.dies_of, propagate))
    good = [f"good-{number}" for number in range(4)]
    loaded = config(tmp_path, *good, *kinds)
    rows = run(loaded)
    expected = dict.fromkeys(good, ("empty", 0)) | dict.fromkeys(kinds, ("quarantined", 1))
    assert attempts(rows) == expected
    assert {name: (rows[name].failure_stage, rows[name].failure_kind) for name in kinds} == kinds
    message = rows[propagate].failure_message or ""
    assert "2 died while they processed nothing else" in message
    assert not prepare(loaded).plan.to_process


def test_the_only_machine_is_sick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(factory, "propagate", faulty_stages.device_fails)
    loaded = config(tmp_path, *(f"video-{number:02d}" for number in range(20)))
    with pytest.raises(ClusterError) as raised:
        run(loaded)
    assert re.search(r"its device failed \d+ times: CUDA error: uncorrectable", str(raised.value))
    assert "No video is blamed" in str(raised.value)
    assert {record.status for record in records(loaded).values()} <= {"empty"}
    assert len(prepare(loaded).plan.to_process) > 0


def test_one_of_two_machines_is_sick(tmp_path: Path) -> None:
    """Work of the sick machine is done elsewhere, and it gets no more."""
    names = [f"video-{number:02d}" for number in range(12)]
    loaded = config(
        tmp_path,
        *names,
        resources={"propagate": {"actors": 2, "num_cpus": 3.0}},
        # What stops for good is to say so.
        run={"commit_interval_s": 0.2, "max_attempts": 1, "no_progress_timeout_s": 300},
    )
    # Each machine holds one of the two trackers; what is left is large enough for one.
    with (
        running_cluster(num_cpus=4, **PATIENT_CLUSTER) as cluster,
        joined_node(cluster, int(SICK_CPUS)),
    ):
        env = {"RAY_ADDRESS": cluster.join_address, "PYTHONPATH": str(REPOSITORY)}
        shell = replace(cluster.shell, env={**cluster.shell.env, **RETRY_AT_ONCE, **env})
        command = (sys.executable, "-m", "tests.slow.faulty_run", str(tmp_path / "config.yaml"))
        ended = shell.run(*command, timeout_s=1000)
    assert ended.returncode == 0, ended.stdout
    assert attempts(records(loaded)) == dict.fromkeys(names, ("empty", 0))
    left_out = r"is left out from now on: its device failed \d+ times: CUDA error"
    assert re.search(left_out, ended.stdout)
