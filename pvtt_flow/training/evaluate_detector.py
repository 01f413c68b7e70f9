"""Measure recall and precision of the detector on stills, with a score that others have set."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pvtt_flow.training import stills as pictures
from pvtt_flow.training.detector.model import detect
from pvtt_flow.training.measure import MatchedDetections, match_detections
from pvtt_flow.training.render.library import Library

# A quarter of the stills sets the score threshold and is not measured.
_CALIBRATION = 4
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
    """Detections of the stills that are measured, and the score threshold of the others."""

    score: float
    seen: tuple[Seen, ...]

    def recall_precision(self, seen: Sequence[Seen] | None = None) -> tuple[float, float]:
        """Return recall and precision of all stills, or of some."""
        return matched(self.seen if seen is None else seen).recall_precision(self.score)

    def false_alarm_share(self) -> float:
        """Return the share of stills without a product on which one is seen; NaN without any."""
        alarms = [
            float(each.scores.max(initial=0.0)) >= self.score
            for each in self.seen
            if not len(each.truth)
        ]
        return float(np.mean(alarms)) if alarms else float("nan")


def measure(model: Any, count: int, library: Library) -> Detection:
    """Detect on `count` held-out stills."""
    seen = []
    for index in range(-(-count // pictures.FRAMES_PER_SCENE)):
        scene = pictures.render_scene("held_out", index, library)
        for image, boxes in pictures.stills_of(scene):
            seen.append(Seen(*detect(model, image, min_score=_LOWEST_SCORE), boxes))
    num_calibration = len(seen) // _CALIBRATION
    score = best_threshold(matched(seen[:num_calibration]))
    return Detection(score, tuple(seen[num_calibration:]))


def matched(seen: Sequence[Seen]) -> MatchedDetections:
    """Match the detections of stills to their true boxes."""
    return match_detections(
        [(each.boxes, each.scores) for each in seen], [each.truth for each in seen]
    )


def best_threshold(found: MatchedDetections) -> float:
    """Return the score threshold with the best F1."""
    options = np.arange(0.05, 0.95, 0.01)

    def f1(score: float) -> float:
        recall, precision = found.recall_precision(score)
        return 2 * recall * precision / max(recall + precision, 1e-9)

    return float(max(options, key=f1))
