"""The flow from end to end: real videos, real models, real Ray, a real dataset."""

import json
import os
import shutil
from itertools import pairwise
from pathlib import Path

import pytest

from pvtt_flow import __version__, open_dataset
from pvtt_flow.core import rle
from pvtt_flow.core.mask_shape import MaskShape, shape_of
from pvtt_flow.types import Masklet
from tests.cli.terminal import Ended, pvtt_flow
from tests.pipeline.runs import GOOD_VIDEOS, STRIDE, MixedRun, num_processed, sample
from tests.stages.bad_videos import BAD_VIDEOS


@pytest.fixture(scope="module")
def masklets(mixed_run: MixedRun) -> list[Masklet]:
    dataset = open_dataset(mixed_run.dataset)
    return dataset.masklets_of(*(r.video_id for r in mixed_run.video_records().values()))


def test_every_input_is_accounted_for(mixed_run: MixedRun) -> None:
    records = mixed_run.video_records()
    assert records.keys() == {*GOOD_VIDEOS, *BAD_VIDEOS}
    for name in GOOD_VIDEOS:
        assert (records[name].status, records[name].failure_kind) == ("ok", None), name
        assert (records[name].container, records[name].codec) == (
            "mov,mp4,m4a,3gp,3g2,mj2",
            "h264",
        )
        assert (
            min(
                records[name].inspect_s,
                records[name].detect_s,
                records[name].propagate_s,
            )
            > 0
        )
    for name, bad in BAD_VIDEOS.items():
        record = records[name]
        assert (record.status, record.failure_stage, record.attempts) == (
            "failed",
            "inspect",
            1,
        ), name
        assert record.failure_kind == bad.kind, name
        assert bad.message in (record.failure_message or ""), name
        assert record.failure_traceback is None, name


def test_the_run_fails_past_its_failure_budget(mixed_run: MixedRun) -> None:
    assert mixed_run.ended.code == 1
    assert (
        "6 of 9 videos failed, more than $.run.max_failure_fraction (0.5) allows"
        in mixed_run.ended.out
    )


def test_the_run_prints_its_results(mixed_run: MixedRun) -> None:
    out = mixed_run.ended.out
    assert "9 (6 failed, 3 ok)" in out
    for name, bad in BAD_VIDEOS.items():
        assert str(mixed_run.videos / name) in out
        assert bad.message in out
    assert f"dataset: {mixed_run.dataset} (version " in out
    assert "Traceback" not in out + mixed_run.ended.err


def test_a_truncated_video_keeps_its_good_frames(mixed_run: MixedRun) -> None:
    records = mixed_run.video_records()
    assert records["truncated.mp4"].flags == ("truncated",)
    assert records["one_product.mp4"].flags == ()
    for name in GOOD_VIDEOS:
        assert records[name].num_frames == num_processed(sample(name)), name
    assert records["truncated.mp4"].num_frames < records["one_product.mp4"].num_frames


def test_masklets_decode(mixed_run: MixedRun, masklets: list[Masklet]) -> None:
    num_frames = {
        record.video_id: record.num_frames for record in mixed_run.video_records().values()
    }
    num_masklets = {
        record.video_id: record.num_masklets for record in mixed_run.video_records().values()
    }
    assert {v: n for v, n in num_masklets.items() if n} == {
        v: sum(m.video_id == v for m in masklets) for v in {m.video_id for m in masklets}
    }
    for masklet in masklets:
        assert len(masklet.frames) == num_frames[masklet.video_id]
        assert [f.frame_index for f in masklet.frames] == [
            STRIDE * i for i in range(len(masklet.frames))
        ]
        assert all(a.pts_ns < b.pts_ns for a, b in pairwise(masklet.frames))
        assert "prompted" in masklet.frames[0].flags
        for frame in masklet.frames:
            assert ("absent" in frame.flags) == (frame.rle is None)
            if frame.rle is not None:
                mask = rle.decode(frame.rle, masklet.height_px, masklet.width_px)
                assert (rle.box_of(mask), int(mask.sum())) == (frame.box_xyxy, frame.area_px)
                assert shape_of(frame.rle, masklet.height_px) == MaskShape(
                    frame.fragments,
                    frame.largest_fragment_box_xyxy,
                    frame.holes,
                    frame.compactness,
                )
                assert frame.confidence is not None


def test_masklets_are_judged_and_say_where_they_come_from(
    mixed_run: MixedRun, masklets: list[Masklet]
) -> None:
    records = {record.video_id: record for record in mixed_run.video_records().values()}
    assert len({record.run_id for record in records.values()}) == 1
    for masklet in masklets:
        record = records[masklet.video_id]
        assert masklet.qc is not None
        assert masklet.qc.num_frames == record.num_frames
        assert (masklet.verdict == "accept") == (masklet.reasons == ())
        assert (masklet.work_key, masklet.run_id) == (record.work_key, record.run_id)
        assert (masklet.detector_hash, masklet.tracker_hash, masklet.config_hash) == (
            record.detector_hash,
            record.tracker_hash,
            record.config_hash,
        )
        assert masklet.code_version == __version__
        for row in (masklet, record):
            # That of the embedded pair.
            assert (row.detector_license, row.tracker_license) == ("AGPL-3.0-or-later",) * 2
        (prompt,) = masklet.prompts
        assert prompt.score is not None
        assert (prompt.origin, prompt.object_id) == ("detector", masklet.object_id)


def test_duckdb_unnests_the_frames(mixed_run: MixedRun, masklets: list[Masklet]) -> None:
    query = """
        SELECT masklet_id, count(*), sum((frame.area_px > 0)::INT), max(frame.frame_index)
        FROM (SELECT masklet_id, unnest(frames) AS frame FROM masklets)
        GROUP BY masklet_id ORDER BY masklet_id
    """
    with open_dataset(mixed_run.dataset).duckdb() as db:
        rows = db.execute(query).fetchall()
    assert rows == [
        (
            m.masklet_id,
            len(m.frames),
            sum(f.rle is not None for f in m.frames),
            m.frames[-1].frame_index,
        )
        for m in masklets
    ]


def test_a_run_leaves_its_parameters_and_a_picture(mixed_run: MixedRun) -> None:
    (run_id,) = {record.run_id for record in mixed_run.video_records().values()}
    runs = Path(mixed_run.dataset, "runs")
    record = json.loads((runs / f"{run_id}.json").read_text())
    assert (record["status"], record["config"]["sampling"]["stride"]) == ("ok", STRIDE)
    assert record["summary"]["statuses"] == {"ok": 3, "failed": 6}
    assert {f["kind"] for f in record["summary"]["failures"]} == {
        bad.kind for bad in BAD_VIDEOS.values()
    }
    assert (runs / f"{run_id}.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "counts"),
    [
        ((), {"unchanged": 3, "failed": 6}),
        (("run.max_attempts=1",), {"unchanged": 3, "quarantined": 6}),
        (("qc.accept_probability=0.1", "run.max_attempts=1"), {"unchanged": 3, "quarantined": 6}),
        (("sampling.stride=5", "run.max_attempts=1"), {"stale": 3, "failed": 6}),
        (("detect.min_score=0.02",), {"stale": 3, "failed": 6}),
    ],
)
def test_another_run_plans_by_reason(
    mixed_run: MixedRun, arguments: tuple[str, ...], counts: dict[str, int]
) -> None:
    settings = [word for setting in arguments for word in ("--set", setting)]
    assert planned(pvtt_flow("plan", mixed_run.config, *settings)) == counts


def planned(ended: Ended) -> dict[str, int]:
    """The plan's table: videos by reason, without those that no video has."""
    assert ended.code == 0, ended.err
    rows = [line.split("│") for line in ended.out.splitlines() if line.count("│") == 4]
    counts = {name.strip(): int(count) for _, name, count, *_ in rows if count.strip().isdigit()}
    to_process = counts.pop("to process")
    assert to_process == sum(counts[reason] for reason in ("new", "changed", "failed"))
    return {reason: count for reason, count in counts.items() if count}


def test_a_changed_file_is_planned_again(mixed_run: MixedRun) -> None:
    path = mixed_run.videos / "one_product.mp4"
    content, before = path.read_bytes(), path.stat()
    path.write_bytes(content + b"one more")
    try:
        counts = planned(pvtt_flow("run", mixed_run.config, "--dry-run"))
    finally:
        path.write_bytes(content)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert counts == {"changed": 1, "unchanged": 2, "failed": 6}


def test_a_second_run_has_nothing_to_do(mixed_run: MixedRun, tmp_path: Path) -> None:
    dataset = Path(shutil.copytree(mixed_run.dataset, tmp_path / "dataset"))
    files = sorted(dataset.rglob("*"))
    # One failed attempt is now enough to be left alone.
    settings = (f"--set=output.uri={dataset}", "--set=run.max_attempts=1")
    ended = pvtt_flow("run", mixed_run.config, *settings)
    assert ended.code == 0
    assert "nothing to do: 6 quarantined, 3 unchanged" in ended.out
    assert sorted(dataset.rglob("*")) == files
