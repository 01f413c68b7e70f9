"""Shots that are interrupted while they are tracked, and go on in another process."""

import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pvtt_flow.core.timeline import EVERY_FRAME
from pvtt_flow.dataset.unfinished import UnfinishedShots
from pvtt_flow.errors import StoreError
from pvtt_flow.models.factory import build_tracker
from pvtt_flow.models.tracker import PromptedShot, TrackedFrame, Tracker, TrackerParams
from pvtt_flow.stages._shot_checkpoint import Checkpoints
from pvtt_flow.stages.propagate import Propagate
from pvtt_flow.storage.streams import open_binary
from pvtt_flow.types import ShotRecord, Timings
from pvtt_flow.video.limits import DEFAULT_LIMITS
from tests.stages.fakes import box_prompt, prompted
from tests.video.clip_maker import write_clip

if TYPE_CHECKING:
    from tests.conftest import S3Server

NUM_FRAMES, PROMPTED = 12, 5
# Results of both passes.
NUM_TRACKED = NUM_FRAMES + PROMPTED
ALWAYS_S = 1e-9


@pytest.fixture(scope="module")
def tracker() -> Tracker:
    return build_tracker(TrackerParams(device="cpu"), None, open_binary)


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> ShotRecord:
    """Shot with two objects, one of which starts late and is tracked back."""
    path = write_clip(tmp_path_factory.mktemp("clip") / "mug.mp4", NUM_FRAMES)
    prompts = box_prompt(0, (20, 10, 50, 40)), box_prompt(3, (10, 5, 60, 60), PROMPTED)
    return prompted(path, *prompts)


@pytest.fixture(scope="module")
def expected(tracker: Tracker, record: ShotRecord) -> ShotRecord:
    (done,) = Propagate(tracker, EVERY_FRAME, DEFAULT_LIMITS)([record])
    assert done.failure is None
    assert len(done.masklets) == 2
    return done


@dataclass
class Watched:
    """Tracker that counts its frames, and is interrupted after some of them."""

    inner: Tracker
    interrupted_after: float = math.inf
    num_tracked: int = 0

    def track(self, shot: PromptedShot) -> Iterator[TrackedFrame]:
        for tracked in self.inner.track(shot):
            if self.num_tracked == self.interrupted_after:
                raise KeyboardInterrupt
            self.num_tracked += 1
            yield tracked


def propagate(tracker: Tracker, record: ShotRecord, checkpoints: Checkpoints) -> ShotRecord:
    (done,) = Propagate(tracker, EVERY_FRAME, DEFAULT_LIMITS, None, checkpoints)([record])
    assert done.failure is None, done.failure
    return done


def interrupt(tracker: Tracker, record: ShotRecord, checkpoints: Checkpoints, after: int) -> None:
    with pytest.raises(KeyboardInterrupt):
        propagate(Watched(tracker, after), record, checkpoints)


def results_of(record: ShotRecord) -> ShotRecord:
    """Return what does not depend on the time that it took, or on an interruption."""
    assert record.timings.propagate_s > 0
    slots = Timings(slot_utilization=record.timings.slot_utilization)
    return replace(record, timings=slots, num_resumed_frames=0)


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("after", [1, NUM_FRAMES, NUM_FRAMES + 2])
def test_a_shot_goes_on_where_it_was(
    tracker: Tracker, record: ShotRecord, expected: ShotRecord, tmp_path: Path, after: int
) -> None:
    checkpoints = Checkpoints(str(tmp_path), ALWAYS_S)
    interrupt(tracker, record, checkpoints, after)
    rest = Watched(tracker)
    done = propagate(rest, record, checkpoints)
    assert results_of(done) == results_of(expected)
    assert rest.num_tracked == NUM_TRACKED - after
    assert done.num_resumed_frames == min(after, NUM_FRAMES)
    (file,) = files(tmp_path)
    assert file.parent.parent == tmp_path / "unfinished"


def test_a_shot_may_be_interrupted_twice_in_a_bucket(
    tracker: Tracker, record: ShotRecord, expected: ShotRecord, s3: "S3Server"
) -> None:
    checkpoints = Checkpoints(f"{s3.bucket()}/dataset", ALWAYS_S)
    interrupt(tracker, record, checkpoints, 4)
    interrupt(tracker, record, checkpoints, 5)
    rest = Watched(tracker)
    assert results_of(propagate(rest, record, checkpoints)) == results_of(expected)
    assert rest.num_tracked == NUM_TRACKED - 9


def test_prompts_stay_those_that_were_saved(
    tracker: Tracker, record: ShotRecord, expected: ShotRecord, tmp_path: Path
) -> None:
    """A detector on another machine finds another last bit, or another product."""
    checkpoints = Checkpoints(str(tmp_path), ALWAYS_S)
    interrupt(tracker, record, checkpoints, 4)
    other = replace(record, prompts=(box_prompt(0, (21, 10, 50, 40)),))
    assert results_of(propagate(tracker, other, checkpoints)) == results_of(expected)


def test_another_work_key_has_another_state(
    tracker: Tracker, record: ShotRecord, tmp_path: Path
) -> None:
    checkpoints = Checkpoints(str(tmp_path), ALWAYS_S)
    interrupt(tracker, record, checkpoints, 4)
    changed = replace(record, source=replace(record.source, work_key="changed"))
    whole = Watched(tracker)
    assert propagate(whole, changed, checkpoints).num_resumed_frames == 0
    assert whole.num_tracked == NUM_TRACKED


@pytest.mark.parametrize("kept", [0, 7, 5000, -1])
def test_a_damaged_state_is_ignored(
    tracker: Tracker,
    record: ShotRecord,
    expected: ShotRecord,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    kept: int,
) -> None:
    checkpoints = Checkpoints(str(tmp_path), ALWAYS_S)
    interrupt(tracker, record, checkpoints, 4)
    (file,) = files(tmp_path)
    file.write_bytes(file.read_bytes()[:kept])
    whole = Watched(tracker)
    assert results_of(propagate(whole, record, checkpoints)) == results_of(expected)
    assert whole.num_tracked == NUM_TRACKED
    assert "mug/s0000@0 starts anew, since its saved state is ignored: " in caplog.text


def test_a_state_of_another_engine_is_ignored(
    tracker: Tracker, record: ShotRecord, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A machine with another kind of device, for example."""
    samurai = build_tracker(TrackerParams(device="cpu", memory="samurai"), None, open_binary)
    (alone,) = Propagate(samurai, EVERY_FRAME, DEFAULT_LIMITS)([record])
    checkpoints = Checkpoints(str(tmp_path), ALWAYS_S)
    interrupt(tracker, record, checkpoints, 4)
    interrupt(samurai, record, checkpoints, 6)
    assert "is ignored: it must be of cpu, torch.float32, memory samurai, torch" in caplog.text
    done = propagate(samurai, record, checkpoints)
    assert done.num_resumed_frames == 6, "frames of the ignored state are not among them"
    assert results_of(done) == results_of(alone)


def test_a_shot_that_cannot_be_saved_is_tracked(
    tracker: Tracker,
    record: ShotRecord,
    expected: ShotRecord,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object) -> None:
        raise StoreError("$.output.uri: a file must be written, but the disk is full")

    monkeypatch.setattr(UnfinishedShots, "save", refuse)
    done = propagate(tracker, record, Checkpoints(str(tmp_path), ALWAYS_S))
    assert results_of(done) == results_of(expected)
    assert "the state of mug/s0000@0 is not saved: $.output.uri: a file must" in caplog.text


def test_a_state_is_saved_only_when_it_is_due(
    tracker: Tracker,
    record: ShotRecord,
    expected: ShotRecord,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    done = propagate(tracker, record, Checkpoints(str(tmp_path), 3600))
    assert results_of(done) == results_of(expected)
    assert files(tmp_path) == []
    assert caplog.text == ""
