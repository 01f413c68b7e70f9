"""Failures that a machine may have caused, until it is known whether it did."""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pvtt_flow import open_dataset
from pvtt_flow.config.schema import RunParams
from pvtt_flow.dataset.dataset import Dataset
from pvtt_flow.dataset.unfinished import UnfinishedShots, video_folder
from pvtt_flow.errors import ClusterError, FailureKind, StoreError
from pvtt_flow.pipeline.committer import Committer
from pvtt_flow.pipeline.summary import Summary
from pvtt_flow.stages.write import ShotResult
from pvtt_flow.types import Failure
from tests.pipeline.shot_results import LINEAGE, SHOT
from tests.pipeline.test_run import Recorder


@pytest.fixture
def committer(tmp_path: Path) -> Committer:
    dataset = Dataset(str(tmp_path / "dataset"))
    dataset.ensure()
    summary = Summary(run_id="run", num_planned=3, plan={})
    return Committer(dataset, RunParams(), LINEAGE, summary, Recorder())


def shot(
    video_id: str,
    *,
    kind: FailureKind | None = None,
    node_id: str | None = None,
    num_shots: int = 1,
) -> ShotResult:
    failure = None
    if kind is not None:
        failure = Failure(stage="propagate", kind=kind, message="it broke", node_id=node_id)
    source = replace(SHOT.source, video_id=video_id)
    return replace(SHOT, source=source, num_shots=num_shots, verdicts=(), files=(), failure=failure)


def statuses(committer: Committer) -> dict[str, str]:
    return {r.video_id: r.status for r in open_dataset(committer.dataset.uri).find_videos("")}


def test_failures_of_a_sick_machine_are_nobodys_attempt(committer: Committer) -> None:
    committer.add(shot("a", kind="internal", node_id="sick"))
    # The failed shot is not the last one of its video.
    committer.add(shot("b", kind="internal", node_id="sick", num_shots=2))
    committer.add(shot("b", num_shots=2))
    committer.add(shot("c", kind="internal", node_id="healthy"))
    committer.add(shot("d"))
    committer.commit()
    assert statuses(committer) == {"d": "empty"}, "the others are in doubt"
    committer.forget_failures_on("sick")
    assert committer.done == {"c", "d"}
    committer.add(shot("a"))
    committer.commit_all()
    assert statuses(committer) == {"a": "empty", "c": "failed", "d": "empty"}
    assert committer.summary.num_videos == 3


def test_a_failure_of_the_data_is_committed_at_once(committer: Committer) -> None:
    committer.add(shot("a", kind="bad_prompt"))
    committer.commit()
    assert statuses(committer) == {"a": "failed"}


def test_shots_of_unfinished_videos_are_processed_again(committer: Committer) -> None:
    committer.add(shot("a", kind="internal", node_id="sick", num_shots=2))
    committer.forget_unfinished()
    for _ in range(2):
        committer.add(shot("a", num_shots=2))
    committer.commit()
    assert statuses(committer) == {"a": "empty"}


@pytest.mark.parametrize(("every_s", "left"), [(300.0, ["b"]), (None, ["a", "b"])])
def test_saved_states_of_committed_videos_are_deleted(
    committer: Committer, every_s: float | None, left: list[str]
) -> None:
    committer.params = RunParams(checkpoint_every_s=every_s)
    states = UnfinishedShots(committer.dataset.uri)
    paths = {
        video_id: f"{video_folder(video_id, SHOT.source.work_key)}/0000-x.safetensors"
        for video_id in "ab"
    }
    for path in paths.values():
        states.save(path, {"state": np.zeros(3)})
    committer.add(shot("a"))
    committer.add(shot("b", num_shots=2))
    committer.commit()
    assert [video_id for video_id, path in paths.items() if states.load(path)] == left


def test_frames_from_before_an_interruption_are_told(
    committer: Committer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    committer.add(replace(shot("a"), num_frames=90, num_resumed_frames=60))
    assert "a: a shot went on at frame 60 of 90, with what an interrupted run" in caplog.text
    committer.summary.wall_s = 2.0
    assert committer.summary.frames_per_s == 15, "of this run"


@pytest.mark.parametrize(("kind", "error"), [("store", StoreError), ("machine", ClusterError)])
def test_what_is_no_fault_of_a_video_ends_the_run(
    committer: Committer, kind: FailureKind, error: type[Exception]
) -> None:
    with pytest.raises(error, match="it broke"):
        committer.add(shot("a", kind=kind))
    assert committer.done == set()
