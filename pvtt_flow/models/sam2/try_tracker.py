"""Try a tracker on blank frames: an architecture that cannot run is found before any video."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from pvtt_flow.errors import ConfigError
from pvtt_flow.models.sam2.official import shortened
from pvtt_flow.models.sam2.threaded_tracker import ThreadedTracker
from pvtt_flow.models.tracker import PromptedShot, TrackerParams
from pvtt_flow.types import Frame, Prompt

_SIDE_PX = 64
_NUM_FRAMES = 3


def try_tracker(weights: Path | None, config: Path) -> None:
    """Track a box through three blank frames on the CPU.

    Raises ConfigError if the predictor cannot be built or cannot track; without weights it is
    random.
    """
    try:
        tracker = ThreadedTracker(weights, config, TrackerParams(device="cpu"))
        for _ in tracker.track(_blank_shot()):
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


def _blank_shot() -> PromptedShot:
    rgb = np.zeros((_SIDE_PX, _SIDE_PX, 3), np.uint8)
    frames = [Frame(index, index, rgb) for index in range(_NUM_FRAMES)]

    def read(start: int, stop: int | None) -> Iterator[Frame]:
        return islice(iter(frames), start, stop)

    third = _SIDE_PX / 3
    box = Prompt(object_id=0, frame_index=0, box_xyxy=(third, third, 2 * third, 2 * third))
    return PromptedShot(read=read, prompts={0: [box]}, prompt_frames={0: frames[0]})
