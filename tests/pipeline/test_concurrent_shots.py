"""Several shots in one tracker at once, through Ray; what goes wrong in one is its own."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from pvtt_flow import open_dataset
from pvtt_flow.types import Masklet, VideoRecord
from pvtt_flow.video.encode import write_mp4
from pvtt_flow.video.read import read_frames
from tests.cli.terminal import Ended, pvtt_flow
from tests.pipeline.runs import sample, write_config

pytestmark = pytest.mark.slow

MAX_CONCURRENT_SHOTS = 4
STRIDE = 4
LATE_FRAME = 3 * STRIDE
CUT_FRAME = 9 * STRIDE + 2
BOX = [20, 20, 80, 80]
CORRECTION = {"frame": LATE_FRAME, "points_xy": [[50, 50]], "correction": True}
PROMPTS: Mapping[str, list[dict[str, object]]] = {
    "past-the-end": [{"frame": 9999, "box_xyxy": BOX}],
    "late": [{"object_id": 0, "frame": LATE_FRAME, "box_xyxy": BOX}],
    "corrected": [{"object_id": 0, "box_xyxy": BOX}, {"object_id": 0, **CORRECTION}],
    "two-shots": [{"object_id": 0, "box_xyxy": BOX}],
}
"""By video id."""


@dataclass(frozen=True)
class FinishedRun:
    """Result of the run."""

    ended: Ended
    summary: Mapping[str, Any]
    records: Mapping[str, VideoRecord]
    masklets: Mapping[str, Masklet]
    """Masklets of object 0 by video id; of several shots, the last one's."""
    two_shots: tuple[Masklet, ...]
    """Masklets of object 0, in order of time."""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    """The sample clips, and copies of one with prompts of their own."""
    home = tmp_path_factory.mktemp("concurrent-shots")
    rows: list[dict[str, object]] = [
        {"uri": str(path), "id": path.stem.replace("_", "-")}
        for path in sorted(sample("").glob("*.mp4"))
    ]
    for video_id, prompts in PROMPTS.items():
        copy = shutil.copy(sample("one_product.mp4"), home / f"{video_id}.mp4")
        rows.append({"uri": str(copy), "id": video_id, "prompts": prompts})
    _write_two_shots(home / "two-shots.mp4")
    manifest = home / "videos.jsonl"
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = write_config(home / "config.yaml", manifest, home / "dataset")
    settings = (
        f"tracker.max_concurrent_shots={MAX_CONCURRENT_SHOTS}",
        f"sampling.stride={STRIDE}",
        "detect.max_products=1",
    )
    ended = pvtt_flow("run", config, *(word for s in settings for word in ("--set", s)))
    assert ended.code == 0, ended.out + ended.err
    dataset = open_dataset(str(home / "dataset"))
    records = {record.video_id: record for record in dataset.find_videos("")}
    (run_file,) = (home / "dataset" / "runs").glob("*.json")
    return FinishedRun(
        ended=ended,
        summary=json.loads(run_file.read_text())["summary"],
        records=records,
        masklets={m.video_id: m for m in dataset.masklets_of(*records) if m.object_id == 0},
        two_shots=tuple(m for m in dataset.masklets_of("two-shots") if m.object_id == 0),
    )


def _write_two_shots(path: Path) -> None:
    """Half of one sample and then half of another, with a hard cut between them."""
    pictures = []
    for name in ("one_product.mp4", "two_products.mp4"):
        with sample(name).open("rb") as file:
            pictures += [frame.rgb for frame in read_frames(file, stop_frame=CUT_FRAME)]
    write_mp4(path, pictures, Fraction(24))


def test_shots_are_tracked_concurrently(run: FinishedRun) -> None:
    assert run.summary["max_concurrent_shots"] == MAX_CONCURRENT_SHOTS
    assert run.summary["slot_utilization"] > 1 / MAX_CONCURRENT_SHOTS, (
        "one shot at a time would give exactly that"
    )
    line = next(text for text in run.ended.out.splitlines() if "slot utilization" in text)
    assert line.endswith(
        f"{100 * run.summary['slot_utilization']:.0f} % of {MAX_CONCURRENT_SHOTS} │"
    )


def test_a_shot_that_fails_beside_others_fails_alone(run: FinishedRun) -> None:
    failed = {video_id for video_id, record in run.records.items() if record.failure_kind}
    assert failed == {"past-the-end"}
    record = run.records["past-the-end"]
    assert (record.failure_stage, record.failure_kind) == ("inspect", "bad_prompt")
    assert "got frames [9999]" in (record.failure_message or "")
    assert len(run.records) == len(list(sample("").glob("*.mp4"))) + len(PROMPTS)


def test_an_object_is_followed_back_from_a_late_prompt(run: FinishedRun) -> None:
    masklet = run.masklets["late"]
    frames = [frame.frame_index for frame in masklet.frames]
    assert frames == list(range(0, masklet.stop_frame, STRIDE))
    assert all(frame.object_score is not None for frame in masklet.frames)
    prompted = [frame.frame_index for frame in masklet.frames if "prompted" in frame.flags]
    assert prompted == [LATE_FRAME]


def test_a_correction_is_stored_as_one(run: FinishedRun) -> None:
    masklet = run.masklets["corrected"]
    assert [(p.frame_index, p.correction) for p in masklet.prompts] == [
        (0, False), (LATE_FRAME, True),
    ]  # fmt: skip
    prompted = [frame.frame_index for frame in masklet.frames if "prompted" in frame.flags]
    assert prompted == [0, LATE_FRAME]


def test_no_track_crosses_a_cut(run: FinishedRun) -> None:
    record = run.records["two-shots"]
    assert (record.status, record.num_shots, record.num_masklets) == ("ok", 2, 2)
    first, second = run.two_shots
    num_frames = 2 * CUT_FRAME
    assert [(m.shot_index, m.start_frame, m.stop_frame) for m in run.two_shots] == [
        (0, 0, CUT_FRAME), (1, CUT_FRAME, num_frames),
    ]  # fmt: skip
    assert first.stop_ns == second.start_ns
    for masklet in run.two_shots:
        expected = range(masklet.start_frame, masklet.stop_frame, STRIDE)
        assert [frame.frame_index for frame in masklet.frames] == list(expected)
        assert "prompted" in masklet.frames[0].flags
        assert masklet.frames[0].pts_ns == masklet.start_ns
    assert record.num_frames == sum(len(m.frames) for m in run.two_shots)
    assert [m.prompts[0].origin for m in run.two_shots] == ["manifest", "detector"]
