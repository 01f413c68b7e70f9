"""Calibration of the detector: the line that is found, and the weights that contain it."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pvtt_flow.training.detections import MatchedDetections
from pvtt_flow.training.detector.calibrate import fit, with_line
from pvtt_flow.training.detector.model import detect, export, load_weights, open_detector
from tests.models.test_yolo_detector import SAMPLES, first_frame


def logit(scores: NDArray[np.floating]) -> NDArray[np.floating]:
    return np.asarray(np.log(scores / (1 - scores)))


def test_the_line_of_scores_that_are_too_sure_is_found() -> None:
    rng = np.random.default_rng(0)
    scores = rng.uniform(0.02, 0.98, 40_000)
    is_correct = rng.random(40_000) < 1 / (1 + np.exp(-(0.6 * logit(scores) - 0.8)))
    slope, offset = fit(MatchedDetections(scores, is_correct, 40_000))
    # Five standard errors of this many detections.
    assert slope == pytest.approx(0.6, abs=0.06)
    assert offset == pytest.approx(-0.8, abs=0.06)


def test_detections_of_one_kind_are_refused() -> None:
    with pytest.raises(ValueError, match="to right and to wrong detections, found one kind only"):
        fit(MatchedDetections(np.array([0.5, 0.6]), np.array([True, True]), 2))


def test_weights_have_the_scores_of_the_line(tmp_path: Path) -> None:
    picture = first_frame(SAMPLES / "two_products.mp4")
    boxes, scores = detect(open_detector(), picture, min_score=0.02)
    export(with_line(load_weights(), 0.5, 0.3), tmp_path / "detector.pt")
    same, calibrated = detect(open_detector(tmp_path / "detector.pt"), picture, min_score=0.02)
    num_best = int((scores > 0.1).sum())
    assert num_best >= 1
    # Half precision of the weights that are written.
    np.testing.assert_allclose(same[:num_best], boxes[:num_best], atol=0.5)
    expected = 0.5 * logit(scores[:num_best]) + 0.3
    np.testing.assert_allclose(logit(calibrated[:num_best]), expected, atol=0.05)
