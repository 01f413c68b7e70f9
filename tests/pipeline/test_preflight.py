import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pvtt_flow
from pvtt_flow.config.loading import parse
from pvtt_flow.config.schema import ResourceParams, RunConfig
from pvtt_flow.errors import ConfigError, PreflightError
from pvtt_flow.models import checkpoints
from pvtt_flow.models.checkpoints import sha256_of
from pvtt_flow.pipeline.placement import place_pools
from pvtt_flow.pipeline.preflight import (
    check_resources,
    check_weights,
    demonstrator_warning,
    idle_cpus_warning,
    make_lineage,
    pin_weights,
    shrink_pools,
)
from pvtt_flow.pipeline.ray_session import Node
from pvtt_flow.pipeline.run import prepare
from pvtt_flow.types import Source
from tests.conftest import S3Server
from tests.pipeline.runs import sample, write_config

NO_HASH = "0" * 64


def resources(**changes: object) -> ResourceParams:
    return ResourceParams.model_validate(changes)


def config(**sections: object) -> RunConfig:
    return parse({"input": {"uri": "in"}, "output": {"uri": "out"}, **sections})


@pytest.mark.parametrize(
    ("need", "num_cpus", "num_gpus"),
    [
        (resources(), 2, 0),
        (resources(propagate={"num_gpus": 1.0, "actors": 4}), 8, 4),
        (resources(detect={"num_gpus": 0.5}, propagate={"num_gpus": 0.5}), 3, 1),
    ],
)
def test_a_cluster_that_is_large_enough(
    need: ResourceParams, num_cpus: float, num_gpus: float
) -> None:
    check_resources(need, [Node("n", num_cpus, num_gpus)])


@pytest.mark.parametrize(
    ("need", "message"),
    [
        (
            resources(propagate={"actors": 2, "num_cpus": 1.0}),
            (
                "the run needs 3 CPUs at once (detect 0.5, propagate 2, tasks 0.5) and the "
                "cluster has 2: lower $.resources.propagate.actors or "
                "$.resources.propagate.num_cpus, or run on a larger cluster"
            ),
        ),
        (
            resources(detect={"actors": 4, "num_cpus": 1.0}),
            "lower $.resources.detect.actors or $.resources.detect.num_cpus",
        ),
        (resources(write_num_cpus=1.0), "tasks 1) and the cluster has 2"),
        (
            resources(propagate={"num_cpus": 0.5, "num_gpus": 1.0}),
            (
                "the run needs 1 GPUs at once (detect 0, propagate 1) and the cluster has 0: lower "
                "$.resources.propagate.actors or $.resources.propagate.num_gpus"
            ),
        ),
    ],
)
def test_a_cluster_that_is_too_small(need: ResourceParams, message: str) -> None:
    with pytest.raises(PreflightError) as caught:
        check_resources(need, [Node("n", num_cpus=2, num_gpus=0)])
    assert message in str(caught.value)


ONE_CPU = Node("small", num_cpus=1, num_gpus=0)
EIGHT_GPUS = Node("large", num_cpus=16, num_gpus=8)


def test_an_actor_that_fits_into_no_machine_is_refused() -> None:
    """Three CPUs in all hold an actor of two only if two are on one machine: Ray would wait."""
    need = resources(propagate={"num_cpus": 2.0})
    with pytest.raises(PreflightError) as caught:
        check_resources(need, [ONE_CPU] * 3)
    assert str(caught.value) == (
        "each actor of propagate needs one machine with 2 CPUs and 0 GPUs to spare, and 0 of 1 fit "
        "beside the others into the cluster (3 with 1 CPUs and 0 GPUs): lower "
        "$.resources.propagate.num_cpus or $.resources.propagate.actors, or take larger machines"
    )
    check_resources(need, [ONE_CPU, Node("n", num_cpus=2, num_gpus=0)])


def test_a_share_of_a_gpu_is_of_one_gpu() -> None:
    need = resources(propagate={"num_gpus": 0.6, "actors": 3})
    assert "2 of 3 fit" in refusal(need, [Node("n", num_cpus=8, num_gpus=2)])
    check_resources(need, [Node("n", num_cpus=8, num_gpus=3)])


def test_parts_of_gpus_leave_whole_ones_whole() -> None:
    need = resources(
        propagate={"num_gpus": 1.0, "actors": 7}, detect={"num_gpus": 0.25, "actors": 4}
    )
    check_resources(need, [EIGHT_GPUS])


def test_machines_with_gpus_are_kept_for_those_who_need_them() -> None:
    need = resources(propagate={"num_gpus": 1.0, "num_cpus": 16.0}, detect={"num_cpus": 1.0})
    check_resources(need, [EIGHT_GPUS, ONE_CPU, ONE_CPU])


@pytest.mark.parametrize(
    ("nodes", "actors"),
    [
        ([EIGHT_GPUS, EIGHT_GPUS], (16, 2)),
        ([EIGHT_GPUS], (8, 2)),
        ([Node("n", num_cpus=3, num_gpus=8)], (2, 1)),
    ],
)
def test_pools_shrink_to_what_is_left(nodes: list[Node], actors: tuple[int, int]) -> None:
    need = resources(propagate={"num_gpus": 1.0, "actors": 16}, detect={"actors": 2})
    fit = shrink_pools(need, nodes)
    assert (fit.propagate.actors, fit.detect.actors) == actors
    check_resources(fit, nodes)


def test_pools_do_not_shrink_to_nothing() -> None:
    with pytest.raises(PreflightError, match=r"got 1 with 1 CPUs and 0 GPUs$"):
        shrink_pools(resources(propagate={"num_gpus": 1.0}), [ONE_CPU])


@given(
    st.lists(st.tuples(st.integers(0, 8), st.integers(0, 4)), min_size=1, max_size=5),
    st.integers(1, 6),
    st.sampled_from([0.0, 0.25, 0.5, 1.0, 2.0]),
    st.integers(1, 4),
)
def test_no_more_is_placed_than_there_is(
    machines: list[tuple[int, int]], actors: int, num_gpus: float, num_cpus: int
) -> None:
    nodes = [Node(str(n), float(cpus), float(gpus)) for n, (cpus, gpus) in enumerate(machines)]
    need = resources(propagate={"actors": actors, "num_gpus": num_gpus, "num_cpus": num_cpus})
    placed = place_pools(need, nodes)
    assert placed["propagate"] <= sum(cpus // num_cpus for cpus, _ in machines)
    per_gpu = int(1 / num_gpus) if 0 < num_gpus < 1 else 1
    most = sum(int(gpus * per_gpu // max(num_gpus, 1)) for _, gpus in machines)
    assert num_gpus == 0 or placed["propagate"] <= most


@pytest.mark.parametrize(
    ("need", "nodes", "is_warned"),
    [
        (resources(), [Node("n", num_cpus=2, num_gpus=0)], False),
        (resources(), [Node("n", num_cpus=4, num_gpus=0)], False),
        (resources(), [Node("n", num_cpus=8, num_gpus=0)], True),
        (resources(propagate={"num_cpus": 5}), [Node("n", num_cpus=8, num_gpus=0)], False),
        (resources(propagate={"num_cpus": 2, "actors": 2}), [Node("n", 8, 0)] * 2, True),
        (resources(propagate={"num_gpus": 1}), [Node("n", num_cpus=64, num_gpus=1)], False),
    ],
)
def test_a_tracker_on_few_of_many_cpus(
    need: ResourceParams,
    nodes: list[Node],
    is_warned: bool,  # noqa: FBT001 (a parameter of the cases)
) -> None:
    assert (idle_cpus_warning(need, nodes) is not None) == is_warned


def test_warning_of_idle_cpus() -> None:
    assert idle_cpus_warning(resources(), [Node("n", num_cpus=16, num_gpus=0)]) == (
        "the tracker computes on 1 CPUs, and 14 of 16 have little work: raise "
        "$.resources.propagate.actors, or $.resources.propagate.num_cpus, the threads of an actor"
    )


SAMPLES = Path(pvtt_flow.__file__).parent / "samples"


@pytest.mark.parametrize(
    ("detector", "tracker", "start"),
    [
        (
            "embedded_detector",
            "embedded_tracker",
            (
                "the embedded detector and tracker are for trying the workflow, and wrong on most "
                "real videos: set $.detector.weights and $.tracker.weights for real work"
            ),
        ),
        ("mine.pt", "embedded_tracker", "the embedded tracker is for trying the workflow"),
    ],
)
def test_embedded_models_are_told_to_be_demonstrators(
    detector: str, tracker: str, start: str
) -> None:
    models = config(detector={"weights": detector}, tracker={"weights": tracker})
    samples, real = source(str(SAMPLES / "one_product.mp4")), source("s3://bucket/shoe.mp4")
    assert demonstrator_warning(models, [samples]) is None
    assert (demonstrator_warning(models, [samples, real]) or "").startswith(start)


def test_other_models_are_no_demonstrators() -> None:
    weights = {"detector": {"weights": "mine.pt"}, "tracker": {"weights": "sam2.1_hiera_small"}}
    assert demonstrator_warning(config(**weights), [source("shoe.mp4")]) is None


def source(uri: str) -> Source:
    return Source(video_id="v", uri=uri, etag="e", size_bytes=1)


def refusal(need: ResourceParams, nodes: list[Node]) -> str:
    with pytest.raises(PreflightError) as caught:
        check_resources(need, nodes)
    return str(caught.value)


@pytest.mark.parametrize("section", ["detector", "tracker"])
def test_missing_weights_are_refused(tmp_path: Path, section: str) -> None:
    missing = tmp_path / "mine.pt"
    with pytest.raises(PreflightError) as caught:
        make_lineage(config(**{section: {"weights": str(missing)}}), "run")
    expected = f"no weights at {missing}; put them there or change $.{section}.weights"
    assert str(caught.value) == expected


def test_embedded_weights_that_were_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = Path("/nowhere/embedded")
    monkeypatch.setattr(checkpoints, "_shipped_sha256", lambda _: NO_HASH)
    monkeypatch.setattr(checkpoints, "embedded_file", lambda name: gone / name)
    with pytest.raises(PreflightError) as caught:
        make_lineage(config(), "run")
    expected = f"no weights file at {gone / 'detector.pt'} (sha256 {NO_HASH}), which is part of"
    assert expected in str(caught.value)


@pytest.mark.parametrize("section", ["detector", "tracker"])
def test_weights_of_another_hash(tmp_path: Path, section: str) -> None:
    path = tmp_path / "mine.pt"
    path.write_bytes(b"other weights")
    with pytest.raises(PreflightError) as caught:
        make_lineage(config(**{section: {"weights": str(path), "sha256": NO_HASH}}), "run")
    assert f"{path} must have sha256 {NO_HASH}, got " in str(caught.value)


@pytest.mark.parametrize(
    ("section", "message"),
    [
        (
            {"detector": {"weights": "sam2.1_hiera_tiny"}},
            "$.detector.weights must be a detector, got sam2.1_hiera_tiny, a tracker",
        ),
        (
            {"tracker": {"weights": "embedded_detector"}},
            "$.tracker.weights must be a SAM 2, got embedded_detector, a detector",
        ),
    ],
)
def test_weights_of_the_wrong_sort(section: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make_lineage(config(**section), "run")
    assert str(caught.value) == message


def test_lineage_tells_weights_architecture_and_settings_apart(tmp_path: Path) -> None:
    for name in ("detector.onnx", "tracker.pt", "tracker.yaml"):
        (tmp_path / name).write_text(name)

    def lineage(stride: int = 1) -> tuple[str, str, str]:
        weights = tmp_path / "tracker.pt"
        made = make_lineage(
            config(
                sampling={"stride": stride},
                detector={"weights": str(tmp_path / "detector.onnx")},
                tracker={
                    "weights": str(weights),
                    "sha256": sha256_of(weights),
                    "config": str(tmp_path / "tracker.yaml"),
                },
            ),
            "run",
        )
        return made.config_hash, made.detector_hash, made.tracker_hash

    def changed(before: tuple[str, ...], after: tuple[str, ...]) -> list[bool]:
        return [a != b for a, b in zip(before, after, strict=True)]

    start = lineage()
    assert changed(start, lineage()) == [False, False, False]
    assert changed(start, lineage(stride=2)) == [True, False, False]
    (tmp_path / "tracker.yaml").write_text("a larger picture")
    assert changed(start, lineage()) == [True, False, False]
    (tmp_path / "detector.onnx").write_text("trained longer")
    (tmp_path / "tracker.pt").write_text("trained longer")
    assert changed(start, lineage()) == [True, True, True]


def test_lineage_knows_the_pictures_of_examples(tmp_path: Path) -> None:
    picture = tmp_path / "mug.png"
    picture.write_bytes(b"a mug")
    detect = {"examples": [{"picture": str(picture)}]}
    before = make_lineage(config(detect=detect), "run").config_hash
    assert before != make_lineage(config(), "run").config_hash
    assert make_lineage(config(detect=detect), "run").config_hash == before
    picture.write_bytes(b"another mug")
    assert make_lineage(config(detect=detect), "run").config_hash != before
    picture.unlink()
    with pytest.raises(PreflightError, match=r"\$\.detect\.examples: no file at .*mug\.png"):
        make_lineage(config(detect=detect), "run")


def own(path: Path) -> dict[str, str]:
    return {"weights": str(path), "sha256": sha256_of(path)}


def test_weights_of_ones_own_are_tried() -> None:
    detector = checkpoints.embedded_file("detector.pt")
    tracker = checkpoints.embedded_file("sam2_embedded.pt")
    good = {"detector": own(detector), "tracker": {**own(tracker), "config": "embedded_tracker"}}
    check_weights(config(**good))
    with pytest.raises(PreflightError, match=r"^\$\.detector\.weights must be a detector that "):
        check_weights(config(**{**good, "detector": own(tracker)}))
    with pytest.raises(ConfigError, match=r"^\$\.tracker\.weights must be a SAM 2 checkpoint, "):
        check_weights(config(tracker={**own(detector), "config": "embedded_tracker"}))
    with pytest.raises(ConfigError, match=r"^\$\.tracker\.config must be the architecture of "):
        check_weights(config(tracker={"config": "sam2.1_hiera_tiny"}))


def test_a_dry_run_tries_weights(tmp_path: Path) -> None:
    graph = tmp_path / "best.onnx"
    graph.write_text("no graph")
    with pytest.raises(PreflightError, match=r"^\$\.detector\.weights"):
        prepare(config(detector={"weights": str(graph)}))


def test_shipped_weights_are_prepared_without_torch(tmp_path: Path) -> None:
    """Importing it takes seconds, and the driver does not compute."""
    path = write_config(tmp_path / "config.yaml", sample("one_product.mp4"), tmp_path / "dataset")
    code = f"""
import sys
from pathlib import Path
from pvtt_flow.cli.options import load_config
from pvtt_flow.pipeline.run import prepare
print(len(prepare(load_config(Path({str(path)!r}), [])).plan.to_process), "torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1 False"


def test_weights_in_a_bucket(s3: S3Server, tmp_path: Path) -> None:
    detector = checkpoints.embedded_file("detector.pt")
    graph = tmp_path / "best.onnx"
    graph.write_text("a graph")
    bucket = s3.bucket()
    run = {"models": str(tmp_path / "models")}
    uri = s3.put(detector, f"{bucket}/best.pt")
    remote = config(detector={"weights": uri, "sha256": sha256_of(detector)}, run=run)
    assert pin_weights(remote) == remote
    check_weights(remote)
    local = config(detector={"weights": str(detector), "sha256": sha256_of(detector)})
    assert make_lineage(remote, "run") == make_lineage(local, "run")

    pinned = pin_weights(config(detector={"weights": s3.put(graph, f"{bucket}/x.onnx")}, run=run))
    assert pinned.detector.sha256 == sha256_of(graph)
    with pytest.raises(PreflightError, match=r"^\$\.detector\.weights .* no file at s3://"):
        prepare(config(detector={"weights": f"{bucket}/none.onnx"}, run=run))


def test_a_baseline_is_tried() -> None:
    check_weights(config(tracker={"baseline": {"method": "sam_per_frame"}}))


def test_weights_of_a_baseline_must_be_its_own() -> None:
    tracker = checkpoints.embedded_file("sam2_embedded.pt")
    baseline = {"method": "stcn", "weights": str(tracker), "sha256": sha256_of(tracker)}
    settings = config(tracker={"baseline": baseline})
    with pytest.raises(ConfigError) as caught:
        check_weights(settings)
    assert str(caught.value).startswith("$.tracker.baseline.weights must be a state dict of STCN")
    # What the license of all weights together is, nobody knows.
    assert make_lineage(settings, "run").tracker_license is None


def test_weights_of_a_baseline_of_another_hash() -> None:
    tracker = checkpoints.embedded_file("sam2_embedded.pt")
    baseline = {"method": "stcn", "weights": str(tracker), "sha256": NO_HASH}
    with pytest.raises(PreflightError, match=f"must have sha256 {NO_HASH}"):
        check_weights(config(tracker={"baseline": baseline}))
