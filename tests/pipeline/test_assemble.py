from dataclasses import replace

import pytest

from pvtt_flow.pipeline.assemble import VideoAssembler
from pvtt_flow.pipeline.summary import Summary
from pvtt_flow.stages.write import ShotResult
from pvtt_flow.types import Status, VideoFlag
from tests.pipeline.shot_results import FAILED_SHOT, LINEAGE, SHOT, file


def assembler() -> VideoAssembler:
    return VideoAssembler(LINEAGE, max_attempts=3)


def test_a_video_of_one_shot_is_complete_at_once() -> None:
    done = assembler().add(SHOT, finished_at_ns=7)
    assert done is not None
    record, files = done
    assert files == SHOT.files
    assert (
        record.status,
        record.num_shots,
        record.num_frames,
        record.num_masklets,
    ) == ("ok", 1, 10, 2)
    assert (record.width_px, record.coded_width_px, record.rotation_deg) == (
        64,
        96,
        90,
    )
    assert (record.work_key, record.run_id, record.tracker_hash) == (
        "key",
        "run",
        "t",
    )
    assert (record.failure_kind, record.attempts, record.finished_at_ns) == (
        None,
        0,
        7,
    )


def test_a_video_waits_for_its_last_shot() -> None:
    waiting = assembler()
    flags_by_file: dict[str, tuple[VideoFlag, ...]] = {"a": (), "b": (), "c": ("truncated",)}
    shots = [
        replace(SHOT, num_shots=3, files=(file(name),), flags=flags)
        for name, flags in flags_by_file.items()
    ]
    other = replace(SHOT, source=replace(SHOT.source, video_id="cup"))
    assert waiting.add(shots[0], finished_at_ns=1) is None
    assert waiting.add(other, finished_at_ns=2) is not None
    assert waiting.add(shots[1], finished_at_ns=3) is None
    done = waiting.add(shots[2], finished_at_ns=4)
    assert done is not None
    record, files = done
    assert [f.path for f in files] == ["a", "b", "c"]
    assert (record.num_shots, record.num_frames, record.num_masklets) == (
        3,
        30,
        6,
    )
    assert (record.inspect_s, record.detect_s, record.propagate_s) == (3, 6, 9)
    assert record.flags == ("truncated",)


def test_one_failed_shot_fails_its_video() -> None:
    waiting = assembler()
    assert waiting.add(replace(FAILED_SHOT, num_shots=2), finished_at_ns=1) is None
    done = waiting.add(replace(SHOT, num_shots=2), finished_at_ns=2)
    assert done is not None
    record, files = done
    assert files == (), "a video is in the dataset with all of its shots or with none"
    assert (record.status, record.num_masklets, record.attempts) == (
        "failed",
        0,
        1,
    )
    assert (record.failure_stage, record.failure_kind) == ("propagate", "bad_prompt")
    assert (record.failure_message, record.failure_traceback) == (
        "it does not fit",
        "tb",
    )


@pytest.mark.parametrize(
    ("shot_result", "before", "status", "attempts"),
    [
        (FAILED_SHOT, 0, "failed", 1),
        (FAILED_SHOT, 1, "failed", 2),
        (FAILED_SHOT, 2, "quarantined", 3),
        (SHOT, 2, "ok", 0),
        (replace(SHOT, verdicts=(), files=()), 2, "empty", 0),
        (replace(FAILED_SHOT, video=None), 0, "failed", 1),
    ],
)
def test_status_and_attempts(
    shot_result: ShotResult, before: int, status: Status, attempts: int
) -> None:
    source = replace(shot_result.source, attempts=before)
    done = assembler().add(replace(shot_result, source=source), finished_at_ns=1)
    assert done is not None
    assert (done[0].status, done[0].attempts) == (status, attempts)


def test_the_summary_counts_finished_videos() -> None:
    summary = Summary(run_id="run", num_planned=3, plan={"new": 3}, wall_s=10)
    for name, shot_result in (("a", SHOT), ("b", FAILED_SHOT), ("c", replace(SHOT, verdicts=()))):
        shot = replace(shot_result, source=replace(shot_result.source, video_id=name))
        summary.add_shot(shot)
        done = assembler().add(shot, finished_at_ns=1)
        assert done is not None
        summary.add_video(done[0])
    assert (summary.num_videos, summary.num_shots, summary.num_masklets) == (3, 3, 2)
    assert summary.statuses == {"ok": 1, "failed": 1, "empty": 1}
    assert summary.verdicts == {"accept": 1, "review": 1}
    assert summary.failures == [
        {
            "uri": "/mug.mp4",
            "stage": "propagate",
            "kind": "bad_prompt",
            "message": "it does not fit",
        }
    ]
    assert summary.failure_fraction == pytest.approx(1 / 3)
    assert (summary.num_frames, summary.frames_per_s, summary.propagate_s) == (30, 3.0, 9.0)


def test_slot_utilization_is_averaged_over_frames() -> None:
    summary = Summary(run_id="run", num_planned=3, plan={})
    for num_frames, slot_utilization in ((0, 0.0), (10, 0.5), (30, 1.0), (20, 0.0)):
        timings = replace(SHOT.timings, slot_utilization=slot_utilization)
        summary.add_shot(replace(SHOT, num_frames=num_frames, timings=timings))
    assert (summary.num_frames, summary.num_tracked_frames) == (60, 40)
    assert summary.slot_utilization == pytest.approx(40 / (10 / 0.5 + 30 / 1.0))


def test_a_summary_without_videos() -> None:
    summary = Summary(run_id="run", num_planned=0, plan={})
    assert (summary.failure_fraction, summary.frames_per_s) == (0.0, 0.0)
    assert summary.slot_utilization == 0.0


def test_the_signature_of_a_url_is_not_stored() -> None:
    signed = replace(SHOT.source, uri="https://h/mug.mp4?X-Amz-Signature=s3cret&part=2")
    assembled = assembler().add(replace(SHOT, source=signed), finished_at_ns=7)
    assert assembled is not None
    assert assembled[0].uri == "https://h/mug.mp4?part=2"
