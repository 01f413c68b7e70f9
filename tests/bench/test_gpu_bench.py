"""The parts of the benchmark on a GPU that compute; nothing here is timed."""

import json
from pathlib import Path

import pytest

from tests.bench.clips import Encoded, Filmed, render
from tests.bench.compare import Masks, agreement_of, masks_of
from tests.bench.gpu.footage import there_and_back, write_footage
from tests.bench.gpu.kernels import Kernel, attention_kernels, covered, summarize
from tests.bench.gpu.peak import on_paper
from tests.bench.gpu.plan import ON_CPU, ON_GPU, PARTS
from tests.bench.gpu.record import Part, Record
from tests.bench.gpu.stopwatch import steady_frames_per_s
from tests.bench.gpu.summary import summarize as summary_of
from tests.bench.gpu.wheels import lacking, parcels
from tests.bench.systems import Official, random_model


def test_footage_has_its_size_and_length(tmp_path: Path) -> None:
    [clip] = write_footage(tmp_path, num_clips=1, num_rendered=3, num_frames=5, area_px=120 * 60)
    height, width = clip.size_px
    assert height * width == pytest.approx(120 * 60, rel=0.05)
    assert [f.rgb.shape for f in clip.frames] == [(height, width, 3)] * 5
    assert [f.frame_index for f in clip.first(2).frames] == [0, 1]
    assert len(clip.prompting(2).prompts) == 2
    boxes = [p.box_xyxy for p in clip.prompts if p.box_xyxy is not None]
    assert len(boxes) == 5
    assert all(0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height for x0, y0, x1, y1 in boxes)


def test_a_resized_clip_has_resized_boxes() -> None:
    [clip] = render(1, 1)
    height, width = clip.size_px
    half = clip.resized((height // 2, width // 2))
    assert half.size_px == (height // 2, width // 2)
    for old, new in zip(clip.prompts, half.prompts, strict=True):
        assert old.box_xyxy is not None
        assert new.box_xyxy == pytest.approx([x / 2 for x in old.box_xyxy])


def test_frames_go_there_and_back() -> None:
    assert [*there_and_back(3, 7)] == [0, 1, 2, 1, 0, 1, 2]


def test_speed_counts_while_every_clip_is_on_its_way() -> None:
    # The second clip starts a second later and ends later; from 3 to 4 s both are steady.
    first = [(float(at), 0, at) for at in range(5)]
    second = [(1 + at / 2, 1, at) for at in range(11)]
    assert steady_frames_per_s(first + second, num_skipped=3) == pytest.approx(3)
    assert steady_frames_per_s(first, num_skipped=5) is None
    apart = [(at + 10, clip, frame) for at, clip, frame in second]
    assert steady_frames_per_s(first + apart, num_skipped=3) is None


def test_busy_time_counts_overlaps_once() -> None:
    assert covered([(0, 2), (1, 3), (1, 2), (5, 6)]) == 4
    profile = summarize({"flash_fwd": [(0.0, 2.0), (5.0, 6.0)], "gemm": [(1.0, 3.0)]})
    assert profile.kernels == (Kernel("flash_fwd", 2, 3.0), Kernel("gemm", 1, 2.0))
    assert (profile.span_s, profile.busy_s) == (6.0, 4.0)
    assert profile.idle_share == pytest.approx(1 / 3)
    assert attention_kernels(profile.kernels) == ["flash_fwd"]
    assert summarize({}).idle_share == 0


def test_the_peak_is_the_most_exact_names() -> None:
    assert on_paper("NVIDIA H100 80GB HBM3") == 989.5e12
    assert on_paper("NVIDIA H100 PCIe") == 756.5e12
    assert on_paper("NVIDIA L40S") == 362e12
    assert on_paper("another card") is None


def test_parcels_keep_to_their_limit() -> None:
    assert parcels({"a": 6, "b": 5, "c": 3, "d": 1}, limit=10) == [["d", "c", "b"], ["a"]]
    with pytest.raises(ValueError, match="at most 10 bytes, got a: 11"):
        parcels({"a": 11}, limit=10)


def test_only_what_lacks_is_carried() -> None:
    assert lacking(["PyYAML", "hydra-core", "pydantic_core"], ["pyyaml"]) == [
        "hydra-core",
        "pydantic-core",
    ]


def test_the_record_is_whole_after_each_row(tmp_path: Path) -> None:
    record = Record({"machine": "m"}, tmp_path / "gpu.json")
    record.parts["start"] = Part()
    record.add("start", {"a": 1})
    record.leave_out("start", "b")
    assert json.loads((tmp_path / "gpu.json").read_text()) == {
        "machine": "m",
        "parts": {"start": {"rows": [{"a": 1}], "left_out": ["b"], "seconds": 0.0}},
    }
    assert [path.name for path in tmp_path.iterdir()] == ["gpu.json"]


def test_the_summary_takes_the_median_of_each_rounds_ratio() -> None:
    common = {"model": "tiny", "num_objects": 1, "step": "pass", "decode": False}
    speeds = {
        "official": [10.0, 40.0, 10.0],
        "engine@4": [20.0, 80.0, 30.0],
        "engine@1": [5.0, 20.0, 5.0],
    }
    rows = [
        common
        | {
            "system": system,
            "round": nth,
            "steady_frames_per_s": speed,
            "host_peak_bytes": 2e6,
            "warnings": (),
        }
        for system, own in speeds.items()
        for nth, speed in enumerate(own)
    ]
    failed: dict[str, object] = {"model": "tiny", "system": "vos", "error": "Trace\nCause: x\n"}
    summary = summary_of({"speed": Part(rows=[*rows, failed], left_out=["large"])}, 3.0)
    assert summary["ratios"] == {
        "tiny, 1 objects: engine@4 over official": {"in memory": pytest.approx(2)}
    }
    assert summary["frames_per_s"] == {
        f"tiny, 1 objects {name}": {
            "in memory": s,
            "object-frames/s": s,
            "peak, MB": 2,
            "warnings": 0,
        }
        for name, s in (("official", 10), ("engine@4", 30), ("engine@1", 5))
    }
    assert summary["errors"] == ["speed: tiny vos: Cause: x"]
    assert summary["left_out"] == ["speed: large"]


def test_an_empty_summary_has_every_number() -> None:
    assert summary_of({}, 3.0).keys() == summary_of({name: Part() for name in PARTS}, 3.0).keys()


def test_plans_have_frames_for_all_lanes() -> None:
    for plan in (ON_CPU, ON_GPU):
        lanes = {n for race in (*plan.races, plan.scarce) for n in race.lanes}
        assert lanes <= plan.frames_by_lanes.keys()
        assert max(plan.frames_by_lanes.values()) <= plan.footage.num_frames


def test_clips_in_files_and_in_memory_give_the_official_predictor_the_same(
    tmp_path: Path,
) -> None:
    model = random_model(tmp_path, "tiny", 64)
    [encoded] = write_footage(tmp_path, num_clips=1, num_rendered=2, num_frames=3, area_px=64 * 64)
    filmed = Filmed(encoded.frames, encoded.prompts)
    plain, keeping = Official(model), Official(model, keeps_images=True)
    expected = _masks(plain, encoded)
    assert agreement_of(_masks(keeping, filmed), expected).iou_p1 == 1
    # Another clip in memory is not taken for the first.
    other = Filmed(filmed.frames[:2], filmed.prompts)
    assert len(_masks(keeping, other)) == 2


def _masks(system: Official, clip: Filmed | Encoded) -> Masks:
    return masks_of(system, [clip.prompting(1)])
