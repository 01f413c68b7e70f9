"""Fit of the models of verdicts to tracked clips."""

from pathlib import Path

import numpy as np
import pytest

from pvtt_flow.core import quality
from pvtt_flow.training.evaluate_segmenter import TrueClip
from pvtt_flow.training.quality.clips import Recipe, Tracked, detected_box, track
from pvtt_flow.training.quality.fit import TERMS, Row, fit, fit_models, rows_of
from pvtt_flow.training.render.clip import random_clip
from pvtt_flow.training.segmenter.model import CONFIG, WEIGHTS


def rows(weight: float, count: int = 4000) -> list[Row]:
    """Return rows whose answer depends on one feature, and not on another one."""
    chance = np.random.default_rng(0)
    x = chance.normal(5, 2, (count, 2))
    answers = chance.random(count) < 1 / (1 + np.exp(-(0.5 + weight * (x[:, 0] - 5) / 2)))
    return [
        ({"compactness": a, "area": b}, bool(answer))
        for (a, b), answer in zip(x.tolist(), answers, strict=True)
    ]


def test_the_weights_of_the_data_are_found() -> None:
    found = fit(rows(1.5), ("compactness", "area"), is_good=True)
    # Five standard errors of this many rows.
    assert found.intercept == pytest.approx(0.5, abs=0.2)
    assert found.terms["compactness"].weight == pytest.approx(1.5, abs=0.25)
    assert found.terms["area"].weight == pytest.approx(0, abs=0.2)
    assert found.terms["area"].mean == pytest.approx(5, abs=0.2)


def test_a_weight_has_the_sign_of_its_meaning() -> None:
    against = rows(-1.5)
    assert fit(against, ("compactness",), is_good=True).terms["compactness"].weight == 0
    # Whether a mask is bad is the opposite question.
    assert fit(against, ("compactness",), is_good=False).terms["compactness"].weight < -1


def test_unknown_features_count_as_their_mean() -> None:
    some = [({**f, "area": None if i % 2 else f["area"]}, y) for i, (f, y) in enumerate(rows(1))]
    found = fit(some, ("area",), is_good=True)
    assert found.probability({"area": None}) == found.probability(
        {"area": found.terms["area"].mean}
    )


def test_one_answer_is_refused() -> None:
    with pytest.raises(ValueError, match="must be fitted to both answers, got one only"):
        fit([({"area": 1.0}, True)] * 3, ("area",), is_good=True)


@pytest.fixture(scope="module")
def clip() -> TrueClip:
    rendered = random_clip(7, 5, num_products=1, event="none")
    return TrueClip("clip", rendered.frames, rendered.labels == rendered.target + 1)


@pytest.fixture(scope="module")
def tracked(clip: TrueClip) -> Tracked:
    recipe = Recipe(Path("nowhere"), "calibration", WEIGHTS, CONFIG)
    return track(recipe, clip, detected_box(clip.masks[0], 0))


def test_a_tracked_clip_is_a_measured_masklet_with_its_truth(tracked: Tracked) -> None:
    assert len(tracked.masklet.frames) == len(tracked.j) == len(tracked.is_there) == 5
    assert tracked.measurements.num_frames == 5
    assert set(tracked.counted) <= {1, 2, 3}, "without the first and the last frame"
    assert ((tracked.j >= 0) & (tracked.j <= 1)).all()
    assert not tracked.shows_a_gone_object or not tracked.is_there[1:-1].all()


def test_each_question_has_its_rows(tracked: Tracked) -> None:
    counted = len(list(tracked.counted))
    for question, models in TERMS.items():
        found = rows_of(question, [tracked])
        assert len(found) == (1 if question.startswith("masklet") else counted)
        for terms in models.values():
            assert all(set(terms) <= features.keys() for features, _ in found)


def test_models_answer_as_the_package_reads_them(tracked: Tracked) -> None:
    good = Tracked(tracked.masklet, np.full(5, 0.9), np.ones(5, np.bool_))
    bad = Tracked(tracked.masklet, np.full(5, 0.1), np.zeros(5, np.bool_))
    models = quality.Models.from_json(fit_models([good, bad] * 4, "test"))
    assert models.tracker_hash == tracked.masklet.tracker_hash
    # Equal masks, of which half are good: nothing can tell them apart.
    features = quality.masklet_features(tracked.measurements)
    for with_scores in (False, True):
        answer = models.masklet_good.answer(features, with_scores=with_scores)
        assert answer == pytest.approx(0.5, abs=1e-3)


def test_a_detected_box_is_near_the_true_one(clip: TrueClip) -> None:
    height_px, width_px = clip.masks.shape[1:]
    boxes = [detected_box(clip.masks[0], seed).box_xyxy for seed in range(50)]
    assert all(
        b is not None and 0 <= b[0] < b[2] <= width_px and 0 <= b[1] < b[3] <= height_px
        for b in boxes
    )
    assert len(set(boxes)) == 50
