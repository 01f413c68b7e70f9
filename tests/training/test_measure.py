"""Measures, on values computed by hand and by property."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from pvtt_flow.training.measure import (
    MatchedDetections,
    contour_accuracy,
    match_detections,
    region_similarity,
)

masks = arrays(bool, (2, 4, 5))


def test_j_equals_iou_and_is_one_where_both_masks_are_empty() -> None:
    mask, truth = np.zeros((3, 2, 2), bool), np.zeros((3, 2, 2), bool)
    mask[0, 0], truth[0, :, 0] = True, True
    truth[1, 0, 0] = True
    assert region_similarity(mask, truth).tolist() == [1 / 3, 0.0, 1.0]


@settings(derandomize=True)
@given(masks, masks)
def test_j_is_symmetric_and_is_one_only_for_equal_masks(
    first: np.ndarray, second: np.ndarray
) -> None:
    forward, backward = region_similarity(first, second), region_similarity(second, first)
    assert np.array_equal(forward, backward)
    assert np.array_equal(forward == 1, (first == second).all((1, 2)))
    assert ((forward >= 0) & (forward <= 1)).all()


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


def squares(*lefts: int, side_px: int = 40) -> NDArray[np.bool_]:
    """Draw a square on each frame of 100 x 100, where a contour may be 2 pixels off."""
    masks = np.zeros((len(lefts), 100, 100), np.bool_)
    for mask, left in zip(masks, lefts, strict=True):
        mask[20 : 20 + side_px, left : left + side_px] = True
    return masks


def test_contours_match_within_the_tolerance() -> None:
    truth = squares(20, 20, 20)
    assert contour_accuracy(squares(20, 22, 23), truth)[:2].tolist() == [1, 1]
    # The two sides of 41 pixels miss, all but 2 pixels at each of their ends.
    third = contour_accuracy(squares(20, 22, 23), truth)[2]
    assert 0.5 < third < 0.6


def test_contours_of_nothing() -> None:
    nothing, square = squares(0, side_px=0), squares(20)
    assert contour_accuracy(nothing, nothing) == [1]
    assert contour_accuracy(nothing, square) == contour_accuracy(square, nothing) == [0]
    assert contour_accuracy(squares(5, side_px=10), squares(70, side_px=10)) == [0]
