"""Measure recall and precision of the detector on stills."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pvtt_flow.training import stills as pictures
from pvtt_flow.training.corpus import Split
from pvtt_flow.training.detections import MatchedDetections, match_detections
from pvtt_flow.training.detector.model import detect
from pvtt_flow.training.render.library import Library

# The share of detections that are right is their score (`detector/calibrate.py`): from this one on,
# they are rather right than wrong. configs/quickstart.yaml has it too.
MIN_SCORE = 0.5
_LOWEST_SCORE = 0.02


@dataclass(frozen=True)
class Seen:
    """Detections and true boxes of one still."""

    boxes: NDArray[np.float32]
    """float32 (D, 4) xyxy, pixels."""
    scores: NDArray[np.float32]
    """float32 (D,)."""
    truth: NDArray[np.float32]
    """float32 (B, 4) xyxy, pixels."""


@dataclass(frozen=True)
class Detection:
    """Detections of the stills that are measured."""

    seen: tuple[Seen, ...]

    def recall_precision(self, seen: Sequence[Seen] | None = None) -> tuple[float, float]:
        """Return recall and precision of all stills, or of some."""
        return matched(self.seen if seen is None else seen).recall_precision(MIN_SCORE)

    def calibration_error(self) -> float:
        """Return how far scores are from the share of detections that are right, on average."""
        return matched(self.seen).calibration_error()

    def false_alarm_share(self) -> float:
        """Return the share of stills without a product on which one is seen; NaN without any."""
        alarms = [
            float(each.scores.max(initial=0.0)) >= MIN_SCORE
            for each in self.seen
            if not len(each.truth)
        ]
        return float(np.mean(alarms)) if alarms else float("nan")


def measure(model: Any, count: int, library: Library) -> Detection:
    """Detect on `count` held-out stills."""
    return Detection(tuple(see(model, count, library, split="held_out")))


def see(model: Any, count: int, library: Library, *, split: Split) -> list[Seen]:
    """Detect on the first `count` stills of a split."""
    seen = []
    for index in range(-(-count // pictures.FRAMES_PER_SCENE)):
        scene = pictures.render_scene(split, index, library)
        for image, boxes in pictures.stills_of(scene):
            seen.append(Seen(*detect(model, image, min_score=_LOWEST_SCORE), boxes))
    return seen


def matched(seen: Sequence[Seen]) -> MatchedDetections:
    """Match the detections of stills to their true boxes."""
    return match_detections(
        [(each.boxes, each.scores) for each in seen], [each.truth for each in seen]
    )
