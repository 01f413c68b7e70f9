import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pvtt_flow.core import rle
from pvtt_flow.core.cleaning import CleanParams
from pvtt_flow.core.shots import ShotParams
from pvtt_flow.core.timeline import EVERY_FRAME, SamplingParams
from pvtt_flow.models.tracker import PromptedShot, TrackedFrame, TrackerParams
from pvtt_flow.stages import _masklet_builder
from pvtt_flow.stages.inspect import Inspect
from pvtt_flow.stages.propagate import Finish, Propagate
from pvtt_flow.types import Masklet, Prompt, ShotRecord
from pvtt_flow.video.limits import DEFAULT_LIMITS
from tests.stages.fakes import FAILED, Box, FakeTracker, box_prompt, inspected, prompted, record_of
from tests.video.clip_maker import HEIGHT_PX, WIDTH_PX, write_clip

NUM_FRAMES = 8
FRAME_NS = 40_000_000


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clip") / "mug.mp4", NUM_FRAMES)


def box_at(object_id: int, frame_index: int) -> Box | None:
    """Object 0 leaves to the left at frame 3 and stays away for two frames; others stand still."""
    if object_id == 0 and frame_index in (4, 5):
        return None
    if object_id == 0 and frame_index == 3:
        return 0, 10, 6, 20
    return 10 * object_id + 20, 10, 10 * object_id + 26, 20


def propagate(record: ShotRecord, *, sampling: SamplingParams = EVERY_FRAME) -> ShotRecord:
    (done,) = Propagate(FakeTracker(box_at), sampling, DEFAULT_LIMITS)([record])
    return done


def flags_of(masklet: Masklet) -> list[tuple[str, ...]]:
    return [frame.flags for frame in masklet.frames]


def test_one_masklet_for_each_object(clip: Path) -> None:
    first = Prompt(object_id=0, frame_index=0, label="mug", box_xyxy=(20, 10, 26, 20), score=0.9)
    second = box_prompt(5, (70, 10, 76, 20))
    record = propagate(prompted(clip, second, first))
    assert record.failure is None
    assert [(m.object_id, m.label, m.masklet_id) for m in record.masklets] == [
        (0, "mug", "mug/s0000@0/o000"),
        (5, "product", "mug/s0000@0/o005"),
    ]
    mug = record.masklets[0]
    assert mug.prompts == (first,)
    assert (mug.video_id, mug.shot_id, mug.shot_index) == ("mug", "mug/s0000@0", 0)
    assert (mug.width_px, mug.height_px) == (WIDTH_PX, HEIGHT_PX)
    assert (mug.start_frame, mug.stop_frame) == (0, NUM_FRAMES)
    assert (mug.start_ns, mug.stop_ns) == (0, NUM_FRAMES * FRAME_NS)
    assert record.num_frames == NUM_FRAMES
    assert record.flags == ()
    assert record.timings.propagate_s > 0


def test_frames_have_indices_times_and_masks(clip: Path) -> None:
    (masklet,) = propagate(prompted(clip, box_prompt(0, (20, 10, 26, 20)))).masklets
    assert [(f.frame_index, f.pts_ns) for f in masklet.frames] == [
        (i, i * FRAME_NS) for i in range(NUM_FRAMES)
    ]
    assert flags_of(masklet) == [
        ("prompted",), (), (), ("border",), ("absent",), ("absent",), (), (),
    ]  # fmt: skip
    present, absent = masklet.frames[1], masklet.frames[4]
    assert present.rle is not None
    mask = rle.decode(present.rle, HEIGHT_PX, WIDTH_PX)
    assert np.argwhere(mask).min(axis=0).tolist() == [10, 20]
    assert (present.box_xyxy, present.area_px) == ((20, 10, 26, 20), 60)
    assert (present.fragments, present.object_score, present.predicted_iou) == (1, 4.0, 0.8)
    assert (absent.rle, absent.box_xyxy, absent.area_px, absent.fragments) == (None, None, 0, 0)
    assert absent.object_score == -3.0


def test_masks_are_cleaned_as_the_config_says(clip: Path) -> None:
    """A majority of five frames has no object that is elsewhere for one, and then away."""
    record = prompted(clip, box_prompt(0, (20, 10, 26, 20)))
    finish = Finish(CleanParams(smooth_frames=2))
    stage = Propagate(FakeTracker(box_at), EVERY_FRAME, DEFAULT_LIMITS, finish=finish)
    (done,) = stage([record])
    assert flags_of(done.masklets[0]) == [
        ("prompted",), (), (), ("absent",), ("absent",), ("absent",), (), (),
    ]  # fmt: skip
    assert flags_of(propagate(record).masklets[0])[3] == ("border",)


def test_an_object_may_be_prompted_later(clip: Path) -> None:
    record = prompted(clip, box_prompt(0, (20, 10, 26, 20)), box_prompt(1, (30, 10, 36, 20), 6))
    early, late = propagate(record).masklets
    for masklet in (early, late):
        assert [f.frame_index for f in masklet.frames] == list(range(NUM_FRAMES))
    assert flags_of(late) == [()] * 6 + [("prompted",), ()], "it is followed back as well"
    assert flags_of(early)[:3] == [("prompted",), (), ()]


def test_every_object_may_be_prompted_late(clip: Path) -> None:
    (masklet,) = propagate(prompted(clip, box_prompt(0, (20, 10, 26, 20), 2))).masklets
    assert masklet.start_frame == 0, "the shot begins where it begins"
    assert [f.frame_index for f in masklet.frames] == list(range(NUM_FRAMES))
    assert flags_of(masklet)[:3] == [(), (), ("prompted",)]


def test_sampling_keeps_frame_indices(clip: Path) -> None:
    record = prompted(clip, box_prompt(0, (20, 10, 26, 20)), box_prompt(0, (20, 10, 26, 20), 6))
    done = propagate(record, sampling=SamplingParams(stride=3))
    (masklet,) = done.masklets
    assert [f.frame_index for f in masklet.frames] == [0, 3, 6]
    assert flags_of(masklet) == [("prompted",), ("border",), ("prompted",)]
    assert (masklet.stop_frame, done.num_frames) == (NUM_FRAMES, 3), "a shot is all its frames"


def test_as_many_prompted_frames_as_the_settings_allow(tmp_path: Path) -> None:
    most = 64
    assert TrackerParams(max_prompted_frames=most).max_prompted_frames == most
    clip = write_clip(tmp_path / "long.mp4", most + 1)
    prompts = [box_prompt(0, (20, 10, 26, 20), i) for i in range(most + 1)]
    done = propagate(prompted(clip, *prompts[:most]))
    assert done.failure is None
    assert [f.flags[:1] for f in done.masklets[0].frames][: most + 1].count(("prompted",)) == most
    failure = propagate(prompted(clip, *prompts)).failure
    assert failure is not None
    assert failure.kind == "bad_prompt"
    assert "at most 64 frames of a shot, got 65" in failure.message


@pytest.mark.parametrize(
    ("frame_index", "stride"), [(4, 3), (NUM_FRAMES, 1)], ids=["skipped", "past the end"]
)
def test_a_prompt_on_a_frame_that_is_not_processed(
    clip: Path, frame_index: int, stride: int
) -> None:
    record = prompted(clip, box_prompt(0, (20, 10, 26, 20), frame_index))
    failure = propagate(record, sampling=SamplingParams(stride=stride)).failure
    assert failure is not None
    assert (failure.stage, failure.kind) == ("propagate", "bad_prompt")
    assert f"got frames [{frame_index}]" in failure.message
    assert "outside the shot or skipped by the sampling" in failure.message


def test_a_truncated_video_keeps_its_good_frames(tmp_path: Path) -> None:
    whole = write_clip(tmp_path / "whole.mp4", 48).read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole[: len(whole) // 2])
    record = propagate(prompted(cut, box_prompt(1, (30, 10, 36, 20))))
    assert record.failure is None
    assert record.flags == ("truncated",)
    assert 12 <= record.num_frames < 36
    (masklet,) = record.masklets
    assert [f.frame_index for f in masklet.frames] == list(range(record.num_frames))
    assert masklet.stop_frame == record.num_frames


def test_frames_are_decoded_as_they_are_asked_for(tmp_path: Path) -> None:
    tracker = FakeTracker(box_at)
    path = write_clip(tmp_path / "long.mp4", 60)
    record = prompted(path, box_prompt(1, (30, 10, 36, 20)))
    (done,) = Propagate(tracker, EVERY_FRAME, DEFAULT_LIMITS)([record])
    assert done.num_frames == 60
    assert tracker.most_alive <= 3


def test_shots_are_tracked_side_by_side(clip: Path) -> None:
    both_here = threading.Barrier(2, timeout=60)

    class Meeting(FakeTracker):
        def track(self, shot: PromptedShot) -> Iterator[TrackedFrame]:
            both_here.wait()
            return super().track(shot)

    stage = Propagate(Meeting(box_at), EVERY_FRAME, DEFAULT_LIMITS)
    records = [prompted(clip, box_prompt(i, (30, 10, 36, 20))) for i in (1, 2)]
    with ThreadPoolExecutor(2) as pool:
        done = [record for (record,) in pool.map(stage, [[record] for record in records])]
    assert [m.object_id for record in done for m in record.masklets] == [1, 2]
    assert [record.masklets[0].frames[0].box_xyxy for record in done] == [
        (30, 10, 36, 20), (40, 10, 46, 20),
    ]  # fmt: skip


def test_slot_utilization_is_reported(clip: Path) -> None:
    tracker = FakeTracker(box_at, slot_utilization=(0.5,))
    stage = Propagate(tracker, EVERY_FRAME, DEFAULT_LIMITS)
    (done,) = stage([prompted(clip, box_prompt(1, (30, 10, 36, 20)))])
    assert done.timings.slot_utilization == 0.5


def test_failed_shots_pass_unchanged_and_empty_ones_with_their_frames(clip: Path) -> None:
    empty = inspected(clip)
    for sampling, num_frames in ((EVERY_FRAME, NUM_FRAMES), (SamplingParams(stride=3), 3)):
        stage = Propagate(FakeTracker(box_at), sampling, DEFAULT_LIMITS)
        assert stage([FAILED, empty]) == [FAILED, replace(empty, num_frames=num_frames)]


def test_a_tracker_that_breaks_fails_one_shot_only(clip: Path) -> None:
    def breaks(object_id: int, frame_index: int) -> Box | None:
        if object_id == 1:
            raise RuntimeError("out of memory")
        return box_at(object_id, frame_index)

    stage = Propagate(FakeTracker(breaks), EVERY_FRAME, DEFAULT_LIMITS)
    broken, fine = stage([prompted(clip, box_prompt(i, (1, 1, 9, 9))) for i in (1, 0)])
    assert broken.failure is not None
    assert (broken.failure.stage, broken.failure.kind) == ("propagate", "internal")
    assert broken.failure.message == "RuntimeError: out of memory"
    assert "in breaks" in (broken.failure.traceback or "")
    assert len(fine.masklets) == 1


def test_shots_of_a_video_are_tracked_apart(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "mug.mp4", 60)
    source = replace(record_of(path).source, shots=((0, 20), (20, 41), (41, 60)))
    shots = Inspect(ShotParams(), DEFAULT_LIMITS)([ShotRecord(source=source)])
    boxed = [
        replace(s, prompts=(box_prompt(1, (30, 10, 36, 20), s.shot.start_frame + 2),))
        for s in shots
        if s.shot is not None
    ]
    done = [propagate(record, sampling=SamplingParams(stride=2)) for record in boxed]
    masklets = [m for record in done for m in record.masklets]
    assert [m.masklet_id for m in masklets] == [
        "mug/s0000@0/o001", "mug/s0001@20/o001", "mug/s0002@41/o001",
    ]  # fmt: skip
    for m, (start, stop) in zip(masklets, source.shots, strict=True):
        assert [f.frame_index for f in m.frames] == list(range(start, stop, 2))
        assert (m.start_frame, m.stop_frame) == (start, stop)
        assert (m.start_ns, m.stop_ns) == (start * FRAME_NS, stop * FRAME_NS)
        assert [f.pts_ns for f in m.frames] == [f.frame_index * FRAME_NS for f in m.frames]
    assert [record.num_frames for record in done] == [10, 11, 10]


def test_tracking_ends_when_the_masks_of_an_object_do_not_fit_into_a_row(
    clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracked: list[int] = []

    def watched(object_id: int, frame_index: int) -> Box | None:
        tracked.append(frame_index)
        return box_at(object_id, frame_index)

    one, other = box_prompt(1, (30, 10, 36, 20)), box_prompt(2, (40, 10, 46, 20))
    (masklet,) = propagate(prompted(clip, one)).masklets
    sizes = [len(frame.rle or "") for frame in masklet.frames]
    monkeypatch.setattr(_masklet_builder, "MAX_TEXT_BYTES", sum(sizes))
    assert propagate(prompted(clip, one, other)).failure is None, "the limit is that of one object"
    monkeypatch.setattr(_masklet_builder, "MAX_TEXT_BYTES", sum(sizes[:3]))
    (done,) = Propagate(FakeTracker(watched), EVERY_FRAME, DEFAULT_LIMITS)([prompted(clip, one)])
    assert done.failure is not None
    assert (done.failure.stage, done.failure.kind) == ("propagate", "over_limit")
    assert "got more after 4 frames; set shots.max_length_s to split" in done.failure.message
    assert tracked == [0, 1, 2, 3]
