"""From params to a resident model, and to the hash of its weights without loading it."""

from pathlib import Path

from pvtt_flow.errors import ConfigError
from pvtt_flow.models import checkpoints
from pvtt_flow.models.checkpoints import Opener
from pvtt_flow.models.detector import Detector, DetectorParams, YoloDetector
from pvtt_flow.models.tracker import Tracker, TrackerParams


def detector_weights(params: DetectorParams, folder: str | None, open_uri: Opener) -> Path:
    """The detector's weights as a verified local file."""
    named = checkpoints.known().get(params.weights)
    if named is None:
        return checkpoints.trusted_file(Path(params.weights), params.sha256, "$.detector.sha256")
    if named.config is not None:
        raise ConfigError(f"$.detector.weights must be a detector, got {params.weights}, a SAM 2")
    return checkpoints.locate(named, folder, open_uri)


def tracker_weights(params: TrackerParams, folder: str | None, open_uri: Opener) -> Path:
    """The tracker's weights as a verified local file."""
    named = checkpoints.known().get(params.weights)
    if named is None:
        return checkpoints.trusted_file(Path(params.weights), params.sha256, "$.tracker.sha256")
    if named.config is None:
        raise ConfigError(f"$.tracker.weights must be a SAM 2, got {params.weights}, a detector")
    return checkpoints.locate(named, folder, open_uri)


def tracker_config(params: TrackerParams) -> Path:
    """The `sam2` config of the tracker's weights."""
    name = params.config or params.weights
    named = checkpoints.known().get(name)
    if named is not None and named.config is not None:
        return _shipped_config(named.config)
    if params.config is None:
        raise ConfigError(
            f"$.tracker.config must say which architecture {params.weights} has: the name of a "
            f"known checkpoint (see `pvtt-flow models list`) or a .yaml path"
        )
    path = Path(params.config)
    if not path.is_file():
        raise ConfigError(f"$.tracker.config must be a file or a known name, got {path}")
    return path


def build_detector(params: DetectorParams, folder: str | None, open_uri: Opener) -> Detector:
    """A resident detector."""
    return YoloDetector(detector_weights(params, folder, open_uri), params)


def build_tracker(params: TrackerParams, folder: str | None, open_uri: Opener) -> Tracker:
    """A resident tracker."""
    from pvtt_flow.models.sam2.threaded_tracker import ThreadedTracker

    weights = tracker_weights(params, folder, open_uri)
    return ThreadedTracker(weights, tracker_config(params), params)


def _shipped_config(name: str) -> Path:
    """Ours, or one inside the `sam2` package."""
    ours = checkpoints.embedded_file(name)
    if ours.is_file():
        return ours
    import sam2

    return Path(str(sam2.__file__)).parent / name
