"""The measures, by hand and by property."""

import numpy as np
from hypothesis import given, settings
from hypothesis.extra.numpy import arrays

from pvtt_flow.training.measure import box_iou, match, region_similarity

masks = arrays(bool, (2, 4, 5))


def test_j_is_intersection_over_union_and_one_where_both_are_empty() -> None:
    mask, truth = np.zeros((3, 2, 2), bool), np.zeros((3, 2, 2), bool)
    mask[0, 0], truth[0, :, 0] = True, True
    truth[1, 0, 0] = True
    assert region_similarity(mask, truth).tolist() == [1 / 3, 0.0, 1.0]


@settings(deadline=None, derandomize=True)
@given(masks, masks)
def test_j_is_symmetric_and_one_only_for_equals(first: np.ndarray, second: np.ndarray) -> None:
    forth, back = region_similarity(first, second), region_similarity(second, first)
    assert np.array_equal(forth, back)
    assert np.array_equal(forth == 1, (first == second).all((1, 2)))
    assert ((forth >= 0) & (forth <= 1)).all()


def test_box_iou_by_hand() -> None:
    first = np.array([[0.0, 0, 2, 2]])
    second = np.array([[1.0, 0, 3, 2], [5, 5, 6, 6]])
    assert np.allclose(box_iou(first, second), [[1 / 3, 0]])


def test_a_product_is_found_once_and_by_the_best_score() -> None:
    truth = np.array([[0.0, 0, 10, 10]])
    boxes = np.array([[0.0, 0, 10, 9], [0, 0, 10, 10], [20, 20, 30, 30]])
    hits = match([(boxes, np.array([0.9, 0.8, 0.3]))], [truth])
    assert hits.right.tolist() == [True, False, False]
    assert hits.at(0.85) == (1.0, 1.0)
    assert hits.at(0.1) == (1.0, 1 / 3)


def test_an_image_without_products_only_costs_precision() -> None:
    nothing = np.zeros((0, 4))
    hits = match([(np.array([[0.0, 0, 1, 1]]), np.array([0.5]))], [nothing])
    assert hits.num_products == 0
    assert hits.right.tolist() == [False]
