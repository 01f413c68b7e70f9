"""Calibrated probabilities about masks, from what is stored of them.

`quality.json` has two logistic models for each question: `looks`, by the shape and the appearance
of the masks of any tracker, and `scores`, which also uses SAM 2's scores. Scores of one tracker
mislead about another, so `scores` is for the weights that it was fitted to.
`python -m pvtt_flow.training quality` fits both.
"""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from itertools import accumulate
from typing import Any

from pvtt_flow.core.logistic import Features, Logistic, Term
from pvtt_flow.types import Masklet, MaskletFrame, Measurements

FILE = "quality.json"
GOOD_J = 0.75
"""A frame is good if its mask has at least this J, a masklet if it does on average."""
# Frames before and after that a frame's shape and score are averaged with.
_REACH = 2


@dataclass(frozen=True, slots=True)
class Probabilities:
    """Probabilities about a frame with a mask, or about a masklet."""

    good: float
    """Probability that the mask is good; of a masklet: that its mean J is."""
    gone: float
    """Probability that the object is not there, though a mask is shown; of a masklet: on any
    frame."""


@dataclass(frozen=True, slots=True)
class Question:
    """Models that answer a question, without SAM 2's scores and with them."""

    looks: Logistic
    scores: Logistic

    def answer(self, features: Features, *, with_scores: bool) -> float:
        """Return the probability."""
        return (self.scores if with_scores else self.looks).probability(features)


@dataclass(frozen=True, slots=True)
class Models:
    """Content of `quality.json`."""

    tracker_hash: str
    """SHA-256 of the weights whose scores the models know."""
    masklet_good: Question
    masklet_gone: Question
    frame_good: Question
    frame_gone: Question

    @classmethod
    def from_json(cls, tree: Mapping[str, Any]) -> "Models":
        """Read the models as `python -m pvtt_flow.training quality` writes them."""
        questions = {name: _question(models) for name, models in tree["questions"].items()}
        return cls(tree["tracker_hash"], **questions)


def of_masklet(m: Measurements, tracker_hash: str) -> Probabilities:
    """Return the probabilities about a masklet that has a mask."""
    models = _shipped()
    return _answer(
        models.masklet_good,
        models.masklet_gone,
        masklet_features(m),
        with_scores=tracker_hash == models.tracker_hash and m.predicted_iou_mean is not None,
    )


def of_frames(masklet: Masklet) -> list[Probabilities | None]:
    """Return the probabilities about each frame of a measured masklet; None without a mask."""
    models = _shipped()
    is_fitted = masklet.tracker_hash == models.tracker_hash

    def answer(features: Features) -> Probabilities:
        with_scores = is_fitted and features["predicted_iou"] is not None
        return _answer(models.frame_good, models.frame_gone, features, with_scores=with_scores)

    return [None if found is None else answer(found) for found in frame_features(masklet)]


def masklet_features(m: Measurements) -> Features:
    """Return the features of a masklet."""
    return {
        "compactness": m.compactness_mean,
        "prompt_iou": m.prompt_iou,
        "border": m.border_contact,
        "holes": _log1p(m.holes_mean),
        "fragments": _log(m.fragments_mean),
        "area": _log(m.area_median),
        "area_jump": m.area_jump_max,
        "previous_iou": m.previous_iou_p05,
        "predicted_iou": m.predicted_iou_mean,
        "predicted_iou_low": m.predicted_iou_p05,
        "candidate_iou": m.candidate_iou_mean,
        "object_score": m.object_score_p05,
        "color_distance": m.color_distance_mean,
        "color_distance_high": m.color_distance_p95,
        "contour_contrast": m.contour_contrast_mean,
    }


def frame_features(masklet: Masklet) -> list[Features | None]:
    """Return the features of each frame of a measured masklet; None without a mask."""
    prompted = next((f for f in masklet.frames if "prompted" in f.flags), None)
    least = accumulate((f.previous_iou for f in masklet.frames), _least)
    return [
        None if frame.rle is None else _features(masklet, place, prompted, previous_iou_least)
        for place, (frame, previous_iou_least) in enumerate(zip(masklet.frames, least, strict=True))
    ]


def _features(
    masklet: Masklet,
    place: int,
    prompted: MaskletFrame | None,
    previous_iou_least: float | None,
) -> Features:
    """Return the features of a frame with a mask; the last argument is the least one so far."""
    frames, frame = masklet.frames, masklet.frames[place]
    near = [f for f in frames[max(place - _REACH, 0) : place + _REACH + 1] if f.rle is not None]
    growth = _growth(prompted, frame)
    look = frame.appearance
    return {
        "compactness": _mean(f.compactness for f in near),
        "prompt_iou": None if masklet.qc is None else masklet.qc.prompt_iou,
        "border": float("border" in frame.flags),
        "holes": math.log1p(frame.holes),
        "fragments": math.log(frame.fragments),
        "area": math.log(frame.area_px / (masklet.width_px * masklet.height_px)),
        "growth": growth,
        "change": None if growth is None else abs(growth),
        "previous_iou": _mean(f.previous_iou for f in near),
        "previous_iou_least": previous_iou_least,
        "predicted_iou": _mean(f.predicted_iou for f in near),
        "candidate_iou": None if frame.confidence is None else frame.confidence.candidate_iou,
        "object_score": frame.object_score,
        "color_distance": None if look is None else look.color_distance,
        "contour_contrast": None if look is None else look.contour_contrast,
    }


def _growth(prompted: MaskletFrame | None, frame: MaskletFrame) -> float | None:
    """Return ln(area / area of the prompted mask); None if that is empty."""
    if prompted is None or not prompted.area_px:
        return None
    return math.log(frame.area_px / prompted.area_px)


def _answer(
    good: Question, gone: Question, features: Features, *, with_scores: bool
) -> Probabilities:
    return Probabilities(
        good.answer(features, with_scores=with_scores),
        gone.answer(features, with_scores=with_scores),
    )


def _question(models: Mapping[str, Any]) -> Question:
    return Question(**{name: _logistic(tree) for name, tree in models.items()})


def _logistic(tree: Mapping[str, Any]) -> Logistic:
    terms = {name: Term(**values) for name, values in tree["terms"].items()}
    return Logistic(tree["intercept"], terms)


@cache
def _shipped() -> Models:
    text = resources.files("pvtt_flow.core").joinpath(FILE).read_text()
    return Models.from_json(json.loads(text))


def _log(value: float | None) -> float | None:
    return math.log(value) if value else None


def _log1p(value: float | None) -> float | None:
    return None if value is None else math.log1p(value)


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _least(one: float | None, other: float | None) -> float | None:
    return min((value for value in (one, other) if value is not None), default=None)
