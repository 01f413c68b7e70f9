"""`show DATASET VIDEO`: all that is known of one video."""

import json
import shlex
from pathlib import Path
from typing import Any

from pvtt_flow.core.fitness import judge_fitness
from pvtt_flow.core.fitness_rows import FitnessRows
from pvtt_flow.dataset.dataset import Dataset
from pvtt_flow.dataset.maintenance.row_updates import mark_gone
from pvtt_flow.export.profiles import shipped
from pvtt_flow.types import Masklet, Prompt, Repair
from tests.cli.terminal import pvtt_flow
from tests.dataset.dataset_rows import masklet, video_record
from tests.dataset.datasets import masklets_of, new_dataset, publish, videos_of

BOX = (1.0, 2.0, 3.0, 4.5)
REPAIR = Repair(
    start_frame=1,
    stop_frame=3,
    prompt_frame=2,
    box_xyxy=BOX,
    cycle_iou=0.75,
    gain=0.125,
    kept=False,
)


def two_shots() -> tuple[Masklet, Masklet]:
    """Return a repaired mug in one shot, and a clicked cup with a mask of its own in the next."""
    prompt = Prompt(object_id=0, frame_index=0, box_xyxy=BOX, score=0.875)
    click = Prompt(
        object_id=0,
        frame_index=3,
        points_xy=((1.0, 2.0),),
        point_labels=(1,),
        mask_rle="secret",
        origin="manifest",
    )
    reasons: dict[str, Any] = {
        "verdict": "review",
        "reasons": ("flickers",),
        "good_probability": 0.75,
    }
    later: dict[str, Any] = {
        "masklet_id": "cup/s1", "shot_id": "cup/1", "shot_index": 1, "start_frame": 3,
        "stop_frame": 6, "start_ns": 120_000_000, "stop_ns": 240_000_000,
    }  # fmt: skip
    return (
        masklet("cup", prompts=(prompt,), repairs=(REPAIR,), **reasons),
        masklet("cup", prompts=(click,), label="cup", **later),
    )


def failed(folder: Path) -> Dataset:
    made = new_dataset(folder)
    failure = {
        "failure_stage": "inspect", "failure_kind": "unreadable", "failure_message": "no\x1b file",
        "status": "quarantined", "attempts": 3, "num_masklets": 0, "num_shots": 0,
        "width_px": None, "fps_num": None, "codec": None,
    }  # fmt: skip
    made.commit((), [video_record("lost [red] mug", **failure)], run_id="r1")
    mark_gone(made.uri, gone=["lost [red] mug"], returned=[], at_ns=10**18, run_id="r2")
    return made


def rows_of(shown: str) -> dict[str, list[str]]:
    """Return the cells of table rows by the first one; the last of equal ones."""
    lines = [line for line in shown.splitlines() if line.startswith("│")]
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines]
    return {name: cells for name, *cells in rows}


def test_a_page_about_a_video(tmp_path: Path) -> None:
    dataset = new_dataset(tmp_path)
    publish(dataset, *two_shots(), num_shots=2, num_masklets=2, content_hash="h1",
            attributes={"sku": "12"}, flags=("truncated",), finished_at_ns=10**18)  # fmt: skip
    shown = pvtt_flow("show", dataset.uri, "cu")
    assert (shown.code, shown.err) == (0, "")
    rows = rows_of(shown.out)
    expected = {
        "status": "ok", "uri": "/videos/cup.mp4", "size": "1,000 bytes", "etag": "e1",
        "content hash": "h1", "format": "mov,mp4, h264, yuv420p", "picture": "64x48 px",
        "frames per second": "25", "duration": "0.120 s", "flags": "truncated",
        "attribute sku": "12", "reasons": "flickers", "good probability": "0.75",
        "detector's score": "0.875", "frames with a mask": "2 of 3",
        "repairs": "frames 1 to 2 from a box on frame 2: not kept, cycle IoU 0.75, gain +0.12",
        "presence": "0.5", "run_id": "r1", "tracker_hash": "t", "detector_hash": "d",
        "finished (UTC)": "2001-09-09 01:46:40", "frames by flag": "1 absent",
    }  # fmt: skip
    assert {name: rows[name] for name in expected} == {n: [v] for n, v in expected.items()}
    assert rows["0"] == ["0 to 2", "0.000 s", "0.120 s"]
    assert rows["1"] == ["3 to 5", "0.120 s", "0.240 s"]
    assert "frame 0: box [1, 2, 3, 4.5] of the detector" in shown.out
    assert "frame 3: 1 points and mask of the manifest" in shown.out
    assert rows["diffueraser"] == ["unfit", "needs 22 frames, has 3", ""]
    assert "failure" not in shown.out
    assert "secret" not in shown.out


def test_a_page_about_a_failed_video(tmp_path: Path) -> None:
    dataset = failed(tmp_path)
    shown = pvtt_flow("show", dataset.uri, "lost")
    assert (shown.code, shown.err) == (0, "")
    rows = rows_of(shown.out)
    assert rows["status"] == ["quarantined"]
    assert rows["gone from its input since"] == ["2001-09-09 01:46:40"]
    assert [rows[name] for name in ("stage", "kind", "message", "failed attempts")] == [
        ["inspect"], ["unreadable"], [r"no\x1b file"], ["3"],
    ]  # fmt: skip
    advice = f"process it again: pvtt-flow retry {dataset.uri} 'lost [red] mug', then run"
    assert advice in shown.out
    assert "shots with masklets" not in shown.out


def test_the_command_that_retries_a_video_works(tmp_path: Path) -> None:
    dataset = failed(tmp_path)
    facts = json.loads(pvtt_flow("show", dataset.uri, "lost", "--json").out)
    assert pvtt_flow(*shlex.split(facts["retry"])[1:]).code == 0
    assert videos_of(dataset)["lost [red] mug"].attempts == 0


def test_one_object_of_json(tmp_path: Path) -> None:
    dataset = new_dataset(tmp_path)
    publish(dataset, *two_shots(), num_shots=2, num_masklets=2)
    shown = pvtt_flow("show", dataset.uri, "cup", "--json")
    facts = json.loads(shown.out)
    assert (facts["version"], facts["video_id"], facts["retry"]) == (1, "cup", None)
    assert [shot["start_ns"] for shot in facts["shots"]] == [0, 120_000_000]
    assert "secret" not in shown.out
    assert "rle" not in shown.out
    clicked, boxed = sorted(facts["masklets"], key=lambda row: row["label"])
    assert boxed["prompts"][0]["box_xyxy"] == list(BOX)
    assert [row["prompts"][0]["has_mask"] for row in (boxed, clicked)] == [False, True]
    assert (boxed["num_frames"], boxed["num_masks"]) == (3, 2)
    assert boxed["repairs"][0]["gain"] == REPAIR.gain
    assert boxed["qc"]["presence"] == 0.5
    judged = {row["profile"]: row["verdict"] for row in boxed["fitness"]}
    stored = next(row for row in masklets_of(dataset) if row.label == "mug")
    rows = FitnessRows.of(stored.frames, width_px=stored.width_px, height_px=stored.height_px)
    assert judged == {profile.name: judge_fitness(profile, rows).verdict for profile in shipped()}
