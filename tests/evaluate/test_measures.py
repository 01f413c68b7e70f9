"""Measures of masks, on values computed by hand and by property."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from pvtt_flow.evaluate.measures import boundary_iou, contour_accuracy, region_similarity

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


def test_a_boundary_is_a_band_of_two_percent_of_the_diagonal() -> None:
    # 100 x 100: a band of 3 pixels. Squares of 40 px and, 1 px smaller on each side, of 38 px.
    inner = np.zeros((1, 100, 100), bool)
    inner[0, 21:59, 21:59] = True
    bands = 40**2 - 34**2, 38**2 - 32**2
    common = 38**2 - 34**2
    expected = common / (sum(bands) - common)
    assert boundary_iou(inner, squares(20)) == [pytest.approx(expected)]
    assert region_similarity(inner, squares(20)) == [38**2 / 40**2]


def test_the_border_of_the_picture_is_a_boundary() -> None:
    whole, half = np.ones((1, 100, 100), bool), np.ones((1, 100, 100), bool)
    half[0, 50:] = False
    whole_band = 100**2 - 94**2
    half_band = 100 * 50 - 94 * 44
    common = half_band - 94 * 3
    expected = common / (whole_band + half_band - common)
    assert boundary_iou(whole, half) == [pytest.approx(expected)]


def test_boundaries_of_nothing() -> None:
    nothing = squares(0, side_px=0)
    assert boundary_iou(nothing, nothing) == [1]
    assert boundary_iou(nothing, squares(20)) == boundary_iou(squares(20), nothing) == [0]
