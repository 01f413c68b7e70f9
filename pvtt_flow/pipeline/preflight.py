"""Checks before a run starts; errors name the config key to change."""

from pvtt_flow import __version__
from pvtt_flow.config.schema import ResourceParams, RunConfig
from pvtt_flow.core.ids import hash_of
from pvtt_flow.errors import PreflightError
from pvtt_flow.models import checkpoints
from pvtt_flow.models.checkpoints import sha256_of
from pvtt_flow.models.detector import check_classes, try_detector
from pvtt_flow.models.factory import (
    build_detector,
    detector_weights,
    tracker_config,
    tracker_weights,
)
from pvtt_flow.models.own_weights import is_remote
from pvtt_flow.storage.streams import open_binary
from pvtt_flow.types import Lineage


def make_lineage(config: RunConfig, run_id: str) -> Lineage:
    """Find and verify the weights, and return the lineage of the rows of this run."""
    detector = detector_weights(config.detector, config.run.models, open_binary)
    tracker = tracker_weights(config.tracker, config.run.models, open_binary)
    settings = {
        "config": config.results_hash(),
        # Equal weights in another architecture (a larger image size, say) give other masks.
        "architecture": sha256_of(tracker_config(config.tracker)),
    }
    return Lineage(
        run_id=run_id,
        config_hash=hash_of(settings),
        detector_hash=sha256_of(detector),
        tracker_hash=sha256_of(tracker),
        code_version=__version__,
    )


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
    """Load weights of your own once; raise ConfigError or PreflightError if they cannot be used.

    Known checkpoints are left out: `make_lineage` has compared their hashes.
    """
    from pvtt_flow.models.sam2.official import check_predictor

    known, folder = checkpoints.known(), config.run.models
    if config.detector.weights not in known:
        try_detector(detector_weights(config.detector, folder, open_binary), config.detector)
    if config.tracker.weights not in known or config.tracker.config is not None:
        weights = tracker_weights(config.tracker, folder, open_binary)
        check_predictor(weights, tracker_config(config.tracker))


def check_class_filter(config: RunConfig) -> None:
    """Raise PreflightError if the detector lacks a class of the filter `detect.classes`."""
    if config.detect.classes is None:
        return
    detector = build_detector(config.detector, config.run.models, open_binary)
    check_classes(detector, config.detect.classes)


def check_resources(need: ResourceParams, *, num_cpus: float, num_gpus: float) -> None:
    """Raise PreflightError if the pools do not fit into the cluster: Ray would wait forever."""
    pools = {"detect": need.detect, "propagate": need.propagate}
    cpus = {name: pool.actors * pool.num_cpus for name, pool in pools.items()}
    gpus = {name: pool.actors * pool.num_gpus for name, pool in pools.items()}
    # Tasks run next to the pools, one after the other at least.
    task_cpus = max(need.inspect_num_cpus, need.write_num_cpus)
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


def _advice(wanted: dict[str, float], key: str) -> str:
    most = max(wanted, key=lambda name: wanted[name])
    return (
        f"lower $.resources.{most}.actors or $.resources.{most}.{key}, or run on a larger cluster"
    )
