"""Checks before a run starts; errors name the config key to change."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pvtt_flow
from pvtt_flow import __version__
from pvtt_flow.config.schema import ResourceParams, RunConfig
from pvtt_flow.core.ids import hash_of
from pvtt_flow.errors import PreflightError
from pvtt_flow.models import checkpoints
from pvtt_flow.models.checkpoints import sha256_of
from pvtt_flow.models.detector import check_classes, try_detector
from pvtt_flow.models.factory import (
    baseline_weights,
    build_detector,
    detector_weights,
    tracker_config,
    tracker_weights,
)
from pvtt_flow.models.own_weights import is_remote
from pvtt_flow.models.salient import try_salient
from pvtt_flow.pipeline.placement import place_pools, task_num_cpus
from pvtt_flow.pipeline.ray_session import Node
from pvtt_flow.storage.streams import open_binary
from pvtt_flow.types import Lineage, Source

_SAMPLES = Path(pvtt_flow.__file__).parent / "samples"
# Inspection, verdicts and writing use a few.
_MIN_IDLE_CPUS = 4


def make_lineage(config: RunConfig, run_id: str) -> Lineage:
    """Find and verify the weights, and return the lineage of the rows of this run."""
    detector = detector_weights(config.detector, config.run.models, open_binary)
    tracker = tracker_weights(config.tracker, config.run.models, open_binary)
    settings = {
        "config": config.results_hash(),
        # Equal weights in another architecture (a larger image size, say) give other masks.
        "architecture": sha256_of(tracker_config(config.tracker)),
        **_example_hashes(config),
    }
    return Lineage(
        run_id=run_id,
        config_hash=hash_of(settings),
        detector_hash=sha256_of(detector),
        tracker_hash=sha256_of(tracker),
        detector_license=checkpoints.license_of(
            config.detector.weights, with_phrases=config.detect.phrases is not None
        ),
        tracker_license=_tracker_license(config),
        code_version=__version__,
    )


def _example_hashes(config: RunConfig) -> dict[str, list[str]]:
    """Return the hashes of the pictures of examples, which may change; nothing without any."""
    if not config.detect.examples:
        return {}
    from pvtt_flow.models.example_pictures import read_file

    files = (read_file(example, open_binary) for example in config.detect.examples)
    return {"examples": [hashlib.sha256(content).hexdigest() for content in files]}


def _tracker_license(config: RunConfig) -> str | None:
    """Return the license of the weights; None if it is not known of all of them."""
    if config.tracker.baseline.weights is not None:
        return None
    return checkpoints.license_of(config.tracker.weights)


def pin_weights(config: RunConfig) -> RunConfig:
    """Return the config with the hash of a detector that is an object in a bucket.

    So each machine loads the same weights, even if the object is replaced meanwhile. A tracker of
    one's own always has a hash.
    """
    if not is_remote(config.detector.weights) or config.detector.sha256 is not None:
        return config
    path = detector_weights(config.detector, config.run.models, open_binary)
    detector = config.detector.model_copy(update={"sha256": sha256_of(path)})
    return config.model_copy(update={"detector": detector})


def check_weights(config: RunConfig) -> None:
    """Try weights of your own, a baseline and a salient-object model, once.

    Raises ConfigError or PreflightError if they cannot be used.

    Known checkpoints are left out: `make_lineage` has compared their hashes.
    """
    known, folder = checkpoints.known(), config.run.models
    if config.detector.weights not in known:
        try_detector(detector_weights(config.detector, folder, open_binary), config.detector)
    if config.tracker.weights not in known or config.tracker.config is not None:
        from pvtt_flow.models.sam2.try_tracker import try_tracker

        weights = tracker_weights(config.tracker, folder, open_binary)
        try_tracker(weights, tracker_config(config.tracker))
    try_salient(config.measure.salient, folder, open_binary)
    if config.tracker.baseline.method is not None:
        from pvtt_flow.models.baselines.build import try_baseline

        try_baseline(
            tracker_weights(config.tracker, folder, open_binary),
            tracker_config(config.tracker),
            baseline_weights(config.tracker, folder, open_binary),
            config.tracker,
        )


def check_class_filter(config: RunConfig) -> None:
    """Raise PreflightError if the detector lacks a class of `detect.classes`, or any phrase."""
    wanted = config.detect
    if not (wanted.classes or wanted.phrases or wanted.examples):
        return
    detector = build_detector(config.detector, config.run.models, open_binary, config.detect)
    check_classes(detector, config.detect.classes)


def demonstrator_warning(config: RunConfig, sources: Sequence[Source]) -> str | None:
    """Return a warning if models of this package process other videos than its samples."""
    models = {"detector": config.detector.weights, "tracker": config.tracker.weights}
    embedded = {name: w for name, w in models.items() if w == f"embedded_{name}"}
    if not embedded or all(Path(source.uri).is_relative_to(_SAMPLES) for source in sources):
        return None
    keys = " and ".join(f"$.{name}.weights" for name in embedded)
    return (
        f"the embedded {' and '.join(embedded)} {'is' if len(embedded) == 1 else 'are'} for trying "
        f"the workflow, and wrong on most real videos: set {keys} for real work "
        "(`pvtt-flow models list`)"
    )


def check_resources(need: ResourceParams, nodes: Sequence[Node]) -> None:
    """Raise PreflightError if the pools do not fit into the cluster: Ray would wait forever."""
    pools = {"detect": need.detect, "propagate": need.propagate}
    cpus = {name: pool.actors * pool.num_cpus for name, pool in pools.items()}
    gpus = {name: pool.actors * pool.num_gpus for name, pool in pools.items()}
    num_cpus, num_gpus = sum(n.num_cpus for n in nodes), sum(n.num_gpus for n in nodes)
    task_cpus = task_num_cpus(need)
    if sum(cpus.values()) + task_cpus > num_cpus:
        raise PreflightError(
            f"the run needs {sum(cpus.values()) + task_cpus:g} CPUs at once "
            f"(detect {cpus['detect']:g}, propagate {cpus['propagate']:g}, tasks {task_cpus:g}) "
            f"and the cluster has {num_cpus:g}: {_advice(cpus, 'num_cpus')}"
        )
    if sum(gpus.values()) > num_gpus:
        raise PreflightError(
            f"the run needs {sum(gpus.values()):g} GPUs at once "
            f"(detect {gpus['detect']:g}, propagate {gpus['propagate']:g}) "
            f"and the cluster has {num_gpus:g}: {_advice(gpus, 'num_gpus')}"
        )
    for name, placed in place_pools(need, nodes).items():
        if placed < pools[name].actors:
            pool = pools[name]
            raise PreflightError(
                f"each actor of {name} needs one machine with {pool.num_cpus:g} CPUs and "
                f"{pool.num_gpus:g} GPUs to spare, and {placed} of {pool.actors} fit beside the "
                f"others into the cluster ({_describe(nodes)}): lower "
                f"$.resources.{name}.num_cpus or $.resources.{name}.actors, or take larger machines"
            )


def idle_cpus_warning(need: ResourceParams, nodes: Sequence[Node]) -> str | None:
    """Return a warning if a tracker on CPUs leaves most of a large cluster without work."""
    num_cpus = sum(node.num_cpus for node in nodes)
    reserved = sum(pool.actors * pool.num_cpus for pool in (need.detect, need.propagate))
    idle = num_cpus - reserved - task_num_cpus(need)
    if need.propagate.num_gpus or idle < max(_MIN_IDLE_CPUS, num_cpus / 2):
        return None
    return (
        f"the tracker computes on {need.propagate.actors * need.propagate.num_cpus:g} CPUs, and "
        f"{idle:g} of {num_cpus:g} have little work: raise $.resources.propagate.actors, or "
        f"$.resources.propagate.num_cpus, the threads of an actor"
    )


def shrink_pools(need: ResourceParams, nodes: Sequence[Node]) -> ResourceParams:
    """Return the resources with as many actors as fit into the cluster, at least one of each pool.

    Raises PreflightError if not even those fit.
    """
    for actors in range(need.propagate.actors, 0, -1):
        propagate = need.propagate.model_copy(update={"actors": actors})
        fewer = need.model_copy(update={"propagate": propagate})
        placed = place_pools(fewer, nodes)
        if placed["propagate"] == actors and placed["detect"]:
            detect = need.detect.model_copy(update={"actors": placed["detect"]})
            return fewer.model_copy(update={"detect": detect})
    raise PreflightError(f"the run needs one actor of each pool, got {_describe(nodes)}")


def _describe(nodes: Sequence[Node]) -> str:
    kinds = Counter(f"{node.num_cpus:g} CPUs and {node.num_gpus:g} GPUs" for node in nodes)
    return ", ".join(f"{count} with {kind}" for kind, count in kinds.items())


def _advice(wanted: dict[str, float], key: str) -> str:
    most = max(wanted, key=lambda name: wanted[name])
    return (
        f"lower $.resources.{most}.actors or $.resources.{most}.{key}, or run on a larger cluster"
    )
