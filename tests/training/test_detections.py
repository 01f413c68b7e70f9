"""Detections matched to true boxes, on values computed by hand."""

import numpy as np
import pytest

from pvtt_flow.training.detections import MatchedDetections, match_detections


def test_a_true_box_matches_only_the_detection_with_the_best_score() -> None:
    truth = np.array([[0.0, 0, 10, 10]])
    boxes = np.array([[0.0, 0, 10, 9], [0, 0, 10, 10], [20, 20, 30, 30]])
    matched = match_detections([(boxes, np.array([0.9, 0.8, 0.3]))], [truth])
    assert matched.is_correct.tolist() == [True, False, False]
    assert matched.recall_precision(0.85) == (1.0, 1.0)
    assert matched.recall_precision(0.1) == (1.0, 1 / 3)


def test_a_detection_without_any_true_box_is_incorrect() -> None:
    no_boxes = np.zeros((0, 4))
    matched = match_detections([(np.array([[0.0, 0, 1, 1]]), np.array([0.5]))], [no_boxes])
    assert matched.num_products == 0
    assert matched.is_correct.tolist() == [False]


def test_scores_that_are_the_precision_have_no_calibration_error() -> None:
    # Of ten detections of a score of 0.8, eight are right; of ten of 0.3, three.
    scores = np.repeat([0.8, 0.3], 10)
    is_correct = np.array([True] * 8 + [False] * 2 + [True] * 3 + [False] * 7)
    assert MatchedDetections(scores, is_correct, 11).calibration_error() == pytest.approx(0)
    # Each is 0.1 off, one above the precision and one below.
    off = np.repeat([0.9, 0.2], 10)
    assert MatchedDetections(off, is_correct, 11).calibration_error() == pytest.approx(0.1)
    nothing = MatchedDetections(np.zeros(0), np.zeros(0, bool), 4)
    assert nothing.calibration_error() == 0
