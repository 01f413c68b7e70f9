"""Detectors and trackers from their params; weights and configs without loading them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pvtt_flow.core.products import DetectParams
from pvtt_flow.errors import ConfigError
from pvtt_flow.models import checkpoints
from pvtt_flow.models.checkpoints import Opener
from pvtt_flow.models.detector import Detector, DetectorParams, YoloDetector
from pvtt_flow.models.own_weights import own_weights
from pvtt_flow.models.sam2.architectures.shipped_configs import shipped_configs
from pvtt_flow.models.tracker import Tracker, TrackerParams


def detector_weights(params: DetectorParams, folder: str | None, open_uri: Opener) -> Path:
    """Return the detector's weights as a verified local file."""
    checkpoint = checkpoints.known().get(params.weights)
    if checkpoint is None:
        return own_weights(params.weights, params.sha256, "detector", folder, open_uri)
    if checkpoint.kind != "detector":
        raise ConfigError(
            f"$.detector.weights must be a detector, got {params.weights}, a {checkpoint.kind}"
        )
    return checkpoints.locate(checkpoint, folder, open_uri)


def tracker_weights(params: TrackerParams, folder: str | None, open_uri: Opener) -> Path:
    """Return the tracker's weights as a verified local file."""
    checkpoint = checkpoints.known().get(params.weights)
    if checkpoint is None:
        return own_weights(params.weights, params.sha256, "tracker", folder, open_uri)
    if checkpoint.kind != "tracker":
        raise ConfigError(
            f"$.tracker.weights must be a SAM 2, got {params.weights}, a {checkpoint.kind}"
        )
    return checkpoints.locate(checkpoint, folder, open_uri)


def baseline_weights(params: TrackerParams, folder: str | None, open_uri: Opener) -> Path | None:
    """Return a baseline's weights as a verified local file; None for a baseline without."""
    baseline = params.baseline
    if baseline.weights is None:
        return None
    return own_weights(baseline.weights, baseline.sha256, "tracker.baseline", folder, open_uri)


def tracker_config(params: TrackerParams) -> Path:
    """Return the config file of the tracker's weights; raise ConfigError if unknown."""
    name = params.config or params.weights
    checkpoint = checkpoints.known().get(name)
    if checkpoint is not None and checkpoint.config is not None:
        return _shipped_config(checkpoint.config)
    shipped = shipped_configs()
    if name in shipped:
        return shipped[name]
    if params.config is None:
        raise ConfigError(
            f"$.tracker.config must name the architecture of {params.weights}, got null; set it to "
            f"the name of a known checkpoint (see `pvtt-flow models list`), one of "
            f"{', '.join(shipped)} or a .yaml path"
        )
    path = Path(params.config)
    if not path.is_file():
        raise ConfigError(
            f"$.tracker.config must be an existing file or a known name, got {path}; "
            f"`pvtt-flow models list` lists the names"
        )
    return path


def build_detector(
    params: DetectorParams,
    folder: str | None,
    open_uri: Opener,
    wanted: DetectParams | None = None,
) -> Detector:
    """Load a detector; `wanted` prompts it, and leaves out other classes and lower scores."""
    weights = detector_weights(params, folder, open_uri)
    if wanted is None or not (wanted.phrases or wanted.examples):
        return YoloDetector(weights, params, wanted)

    def locate_encoder(name: str) -> Path:
        return checkpoints.locate(checkpoints.known()[name], folder, open_uri)

    def teach(yolo: Any) -> Sequence[str]:
        from pvtt_flow.models.open_vocabulary import learn

        return learn(weights, yolo, wanted, locate_encoder, open_uri)

    return YoloDetector(weights, params, wanted, teach)


def build_tracker(params: TrackerParams, folder: str | None, open_uri: Opener) -> Tracker:
    """Load a tracker."""
    from pvtt_flow.models.sam2.threaded_tracker import ThreadedTracker

    weights = tracker_weights(params, folder, open_uri)
    tracker = ThreadedTracker(weights, tracker_config(params), params)
    if params.baseline.method is None:
        return tracker
    from pvtt_flow.models.baselines.build import build_baseline

    return build_baseline(tracker, baseline_weights(params, folder, open_uri), params)


def _shipped_config(name: str) -> Path:
    """Return a config file of this package or of the `sam2` package."""
    embedded = checkpoints.embedded_file(name)
    if embedded.is_file():
        return embedded
    shipped = shipped_configs().get(name.removesuffix(".yaml"))
    if shipped is not None:
        return shipped
    import sam2

    return Path(str(sam2.__file__)).parent / name
