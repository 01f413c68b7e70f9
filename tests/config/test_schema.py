"""Rules that span sections, and the digest of the settings that change results."""

import re
from pathlib import Path

import pytest

from pvtt_flow.config.loading import load
from pvtt_flow.config.schema import RunConfig
from pvtt_flow.errors import ConfigError

SMALLEST = "input: {uri: videos}\noutput: {uri: dataset}\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(SMALLEST)
    return path


CHANGES_RESULTS = {
    "shots.detect_cuts=false": True,
    "shots.min_length_s=1": True,
    "shots.max_length_s=10": True,
    "sampling.stride=2": True,
    "sampling.target_fps=5": True,
    "detect.add_products=unprompted": True,
    "detect.min_score=0.9": True,
    "detect.classes=[mug]": True,
    "detect.max_products=2": True,
    "detect.choose=area": True,
    "detect.max_iou=0.2": True,
    "detect.min_area=0.2": True,
    "detect.prompt_frame=sharp": True,
    "detect.prompt_frame=confident": True,
    "detect.num_candidates=4": False,
    "detector.image_size_px=640": True,
    "input.uri=elsewhere": False,
    "input.identity=content": False,
    "limits.max_frames=7": False,
    "detector.device=cpu": False,
    "detector.weights=other.onnx": False,
    "detect.phrases=[mug]": True,
    "detect.phrases=products": True,
    "detect.absorb=[hand]": False,  # without phrases
    "detect.examples=[{picture: mug.jpg}]": True,
    "tracker.device=cpu": False,
    "tracker.weights=sam2.1_hiera_tiny": False,
    "tracker.direction=forward": True,
    "tracker.fill_holes_px=8": True,
    "tracker.precision=bfloat16": True,
    "tracker.memory=sam2": False,
    "tracker.memory=dam4sam": True,
    "tracker.baseline.method=null": False,
    "tracker.baseline.method=sam_per_frame": True,
    "tracker.max_concurrent_shots=2": False,
    "tracker.max_prompted_frames=2": False,
    "clean.fill_holes=0": False,
    "clean.fill_holes=0.1": True,
    "clean.smooth_frames=1": True,
    "detect.recheck_every=0": False,
    "detect.recheck_every=5": True,
    "repair.min_gain=0.02": False,
    "measure.appearance=true": False,
    "measure.appearance=false": True,
    "measure.flow=true": True,
    "measure.backward=true": True,
    "measure.salient.every=5": False,
    "qc.accept_probability=0.5": False,
    "output.uri=elsewhere": False,
    "resources.propagate.actors=4": False,
    "run.max_attempts=9": False,
}


@pytest.mark.parametrize(("override", "changes"), CHANGES_RESULTS.items())
def test_hash_covers_the_settings_that_change_results(
    path: Path, override: str, *, changes: bool
) -> None:
    # Weights are compared by content: lineage stores their own hashes.
    assert (load(path, [override]).results_hash() != load(path).results_hash()) == changes


@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_other_prompt_frames_need_both_directions(path: Path, direction: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(path, [f"tracker.direction={direction}", "detect.prompt_frame=confident"])
    assert str(caught.value) == (
        f"$: detect.prompt_frame must be first where tracker.direction is {direction}, got "
        f"confident: objects would have no masks on one side of their prompt; set "
        f"tracker.direction to both"
    )


def test_the_hash_has_that_of_a_salient_object_model_and_not_its_place(path: Path) -> None:
    def hashed(*settings: str) -> str:
        return load(path, [f"measure.salient.{each}" for each in settings]).results_hash()

    here = hashed("weights=a.onnx", f"sha256={'a' * 64}")
    assert here == hashed("weights=b/a.onnx", f"sha256={'a' * 64}")
    others = {
        load(path, []).results_hash(),
        hashed("weights=a.onnx", f"sha256={'b' * 64}"),
        hashed("weights=a.onnx", f"sha256={'a' * 64}", "every=5"),
    }
    assert len(others | {here}) == 4


def test_a_repair_needs_products_that_are_seen_again(path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(path, ["repair.attempts=2"])
    assert str(caught.value) == (
        "$: detect.recheck_every must be at least 1 where repair.attempts is 2, got 0: products "
        "are seen on the first frame alone; set it to 5, for example"
    )
    repairing = load(path, ["repair.attempts=2", "detect.recheck_every=5"])
    assert repairing.results_hash() != load(path, ["detect.recheck_every=5"]).results_hash()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["repair.attempts=1", "detect.recheck_every=5", "tracker.max_prompted_frames=2"],
            "tracker.max_prompted_frames must be at least 3 where repair.attempts is 1, got 2",
        ),
        (
            ["measure.backward=true", "tracker.direction=forward"],
            "tracker.direction must be both where measure.backward is true, got forward",
        ),
        (
            ["repair.attempts=1", "detect.recheck_every=5", "tracker.direction=backward"],
            "tracker.direction must be both where repair.attempts is not 0, got backward",
        ),
        (
            ["tracker.baseline.method=detector_boxes"],
            "detect.recheck_every must be at least 1 where tracker.baseline.method is",
        ),
        (
            [
                "tracker.baseline.method=detector_boxes",
                "detect.recheck_every=1",
                "measure.backward=true",
            ],
            "repair.attempts must be 0 and measure.backward false where",
        ),
    ],
)
def test_settings_that_need_others(path: Path, overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(path, overrides)
    assert str(caught.value).startswith(f"$: {message}")


def test_a_flow_is_measured_with_the_appearance(path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(path, ["measure.flow=true", "measure.appearance=false"])
    expected = "$.measure: appearance must be true where flow is true, got false; set both"
    assert str(caught.value) == expected


@pytest.mark.parametrize("choice", ["sharp", "confident"])
def test_num_candidates_is_hashed_where_it_has_an_effect(path: Path, choice: str) -> None:
    chosen = f"detect.prompt_frame={choice}"
    fewer = load(path, [chosen, "detect.num_candidates=4"])
    assert fewer.results_hash() != load(path, [chosen]).results_hash()


@pytest.mark.parametrize(
    ("overrides", "digest"),
    [
        ([], "d04d218bc72ac7d6"),
        (["detect.prompt_frame=sharp"], "7f9e90733ec8886b"),
        (["tracker.memory=sam2"], "d04d218bc72ac7d6"),
    ],
)
def test_results_hash_is_stable(path: Path, overrides: list[str], digest: str) -> None:
    """Guard the digests in existing datasets: a new one makes every video stale.

    If this fails, restore the hashed names and values, or raise RESULTS_VERSION on purpose.
    """
    assert load(path, overrides).results_hash() == digest


def test_hash_table_covers_every_section() -> None:
    named = {override.split(".")[0] for override in CHANGES_RESULTS}
    assert named | {"version"} == set(RunConfig.model_fields)


def test_results_depend_on_a_baseline_and_the_hash_of_its_weights(path: Path) -> None:
    def digest(method: str, weights: str, sha256: str) -> str:
        baseline = {"method": method, "weights": weights, "sha256": sha256}
        keys = [f"tracker.baseline.{key}={value}" for key, value in baseline.items()]
        return load(path, keys).results_hash()

    one, other = "a" * 64, "b" * 64
    digests = [digest("stcn", "a.pth", one), digest("xmem", "a.pth", one)]
    assert len({*digests, digest("stcn", "a.pth", other)}) == 3
    assert digest("stcn", "elsewhere/a.pth", one) == digests[0]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["method=stcn"], "weights must be set for stcn, got null"),
        (["method=stcn", "weights=a.pth"], "sha256 must be set for stcn, got null"),
        (
            ["method=sam_per_frame", "weights=a.pth"],
            "weights must be null for sam_per_frame, got a.pth",
        ),
        (["weights=a.pth"], "weights must be null for method: null, got a.pth"),
    ],
)
def test_weights_of_a_baseline(path: Path, overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        load(path, [f"tracker.baseline.{override}" for override in overrides])
