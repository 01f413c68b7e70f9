"""Benchmark on a GPU, tried on this machine's CPU: every part, nothing timed."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.bench.gpu.plan import ON_CPU, PARTS
from tests.bench.gpu.savings import without
from tests.bench.systems import embedded

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Record that `--cpu` writes, with the last line that it prints under `last_line`."""
    output = tmp_path_factory.mktemp("gpu") / "gpu.json"
    command = [sys.executable, "-m", "tests.bench.gpu", "--cpu", "--output", str(output)]
    # On a busy machine a part's share of the usual 25 does not suffice for its processes' starts.
    command += ["--minutes", "300"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    written: dict[str, Any] = json.loads(output.read_text())
    return written | {"last_line": json.loads(done.stdout.splitlines()[-1])}


def rows(record: dict[str, Any], part: str, step: str | None = None) -> list[dict[str, Any]]:
    return [r for r in record["parts"][part]["rows"] if step is None or r.get("step") == step]


def test_every_part_is_measured_without_an_error(record: dict[str, Any]) -> None:
    assert [*record["parts"]] == [*PARTS]
    errors = [row for part in PARTS for row in rows(record, part) if "error" in row]
    assert not errors
    assert not [part for part in PARTS if record["parts"][part]["left_out"]]
    assert record["last_line"] == record["summary"]
    assert all(record["summary"][key] for key in ("start", "attention", "ratios", "iou"))
    assert all(record["summary"][key] for key in ("frames_per_s", "roofline", "memory", "job"))
    assert record["machine"]["versions"]["torch"]
    assert record["plan"]["device"] == "cpu"


def test_the_engine_starts_and_is_the_official_predictor(record: dict[str, Any]) -> None:
    found = rows(record, "start")
    by_system = {row["system"]: row for row in found if "warm_up_s" in row}
    assert len(by_system) == 5
    assert by_system["engine@1 bfloat16 compiled"]["num_graphs"] > 0
    assert by_system["engine@1 bfloat16"]["num_graphs"] == 0
    assert all(row["kernels"] and row["num_frames"] > 0 for row in by_system.values())
    pairs = {(row["system"], row["against"]): row for row in found if "against" in row}
    assert len(pairs) == 6
    exact = pairs["engine@1 float32", "official float32"]
    assert exact["iou_p1"] > 0.99
    assert exact["num_masks"] == ON_CPU.num_checked_frames * 5
    assert all(row["iou_median"] > 0.9 for row in pairs.values())


def test_kernels_of_attention_give_the_same(record: dict[str, Any]) -> None:
    found = rows(record, "attention")
    loads = {(row["kernel"], row["is_ragged"]) for row in found}
    assert loads == {(kernel, ragged) for kernel in ON_CPU.kernels for ragged in (False, True)}
    assert all(row["ms"] > 0 and row["max_difference"] < 1e-5 for row in found)


def test_systems_take_turns(record: dict[str, Any]) -> None:
    [race] = ON_CPU.races
    passes = rows(record, "speed", "pass")
    systems = 2 + len(race.lanes)
    assert len(passes) == systems * 2 * ON_CPU.num_rounds
    for row in passes:
        assert row["num_frames"] == row["lanes"] * ON_CPU.frames_by_lanes[row["lanes"]]
        assert row["frames_per_s"] > 0
        assert row["host_peak_bytes"] > 100e6
    orders = [
        [p["system"] for p in passes if p["round"] == nth and not p["decode"]] for nth in (0, 1)
    ]
    assert orders[0] == orders[1][::-1]
    masks = rows(record, "speed", "masks")
    assert len(masks) == systems - 1
    assert all(row["iou_p1"] > 0.99 for row in masks)


def test_each_saving_is_measured_on_and_off(record: dict[str, Any]) -> None:
    savings = without(ON_CPU.engine(embedded(), 1)).keys()
    warm = rows(record, "savings", "warm_up")
    assert [row["saving"] for row in warm] == list(savings)
    assert all(row["iou_p1"] > 0.99 for row in warm)
    found = rows(record, "savings", "saving")
    assert len(found) == len(savings) * 2 * ON_CPU.num_rounds
    assert record["summary"]["savings"].keys() == savings


def test_the_roofline_has_its_operations_and_kernels(record: dict[str, Any]) -> None:
    [peak] = rows(record, "roofline", "peak")
    [profile] = rows(record, "roofline", "profile")
    assert peak["measured"] > 1e9
    # The embedded model needs about half a GFLOP for an object.
    assert 0.2e9 < profile["flops_a_frame"] < 2e9
    assert 0 < profile["share_of_roofline"]["measured"] < 1
    assert 0 <= profile["idle_share"] < 1
    assert len(profile["kernels"]) > 5


def test_memory_is_constant_and_its_end_is_survived(record: dict[str, Any]) -> None:
    lengths = rows(record, "memory", "length")
    assert [row["num_frames"] for row in lengths] == [
        ON_CPU.short_frames,
        ON_CPU.long_lane_frames,
        ON_CPU.short_frames,
        ON_CPU.long_frames,
    ]
    [scarce] = rows(record, "memory", "too little memory")
    assert scarce["num_frames"] == scarce["num_expected"]
    assert any("memory ran out" in warning for warning in scarce["warnings"])
    [enough] = rows(record, "memory", "enough memory")
    assert not enough["warnings"]


def test_the_job_has_every_frame(record: dict[str, Any]) -> None:
    found = rows(record, "job")
    assert len(found) == ON_CPU.num_rounds
    for row in found:
        assert row["num_frames"] == ON_CPU.job_shots * ON_CPU.job_frames
        assert row["job_over_engine"] == pytest.approx(
            row["job_frames_per_s"] / row["engine_frames_per_s"]
        )
