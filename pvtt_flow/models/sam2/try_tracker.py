"""Try a tracker on blank frames: an architecture that cannot run is found before any video."""

from pathlib import Path

from pvtt_flow.errors import ConfigError
from pvtt_flow.models.sam2.blank_shot import blank_shot
from pvtt_flow.models.sam2.official import shortened
from pvtt_flow.models.sam2.threaded_tracker import ThreadedTracker
from pvtt_flow.models.tracker import TrackerParams

_NUM_FRAMES = 3


def try_tracker(weights: Path | None, config: Path) -> None:
    """Track a box through three blank frames on the CPU.

    Raises ConfigError if the predictor cannot be built or cannot track; without weights it is
    random.
    """
    try:
        tracker = ThreadedTracker(weights, config, TrackerParams(device="cpu"))
        for _ in tracker.track(blank_shot(_NUM_FRAMES)):
            pass
        tracker.close()
    except ConfigError:
        raise
    except Exception as error:
        # Parts that do not fit together fail with errors of any class.
        raise ConfigError(
            f"$.tracker.config must be the architecture of a SAM 2 that can track, got {config} "
            f"({type(error).__name__}: {shortened(error)})"
        ) from error
