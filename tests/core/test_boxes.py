import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pvtt_flow.core import boxes

corner = st.floats(0, 500, width=32)
size = st.floats(0.5, 500, width=32)
box = st.tuples(corner, corner, size, size).map(lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3]))


def array(*values: tuple[float, ...]) -> np.ndarray:
    return np.array(values, np.float64).reshape(-1, 4)


@given(box, box)
def test_iou_is_a_symmetric_fraction(a: tuple[float, ...], b: tuple[float, ...]) -> None:
    ab, ba = boxes.iou(array(a), array(b))[0, 0], boxes.iou(array(b), array(a))[0, 0]
    assert 0 <= ab <= 1 + 1e-9
    assert ab == pytest.approx(ba)
    assert boxes.iou(array(a), array(a))[0, 0] == pytest.approx(1)


def test_iou_of_known_boxes() -> None:
    found = boxes.iou(array((0, 0, 10, 10)), array((5, 0, 15, 10), (10, 0, 20, 10), (0, 0, 0, 0)))
    assert found.tolist() == [[pytest.approx(1 / 3), 0, 0]]


def test_clip_keeps_boxes_in_the_picture() -> None:
    assert boxes.clip(array((-5, 2, 30, 40)), 20, 10).tolist() == [[0, 2, 20, 10]]


def test_an_inverted_box_has_no_area() -> None:
    assert boxes.areas(array((5, 5, 1, 9), (0, 0, 2, 3))).tolist() == [0, 6]


def test_centrality_falls_from_centre_to_corner() -> None:
    found = boxes.centrality(array((40, 20, 60, 30), (0, 0, 0, 0)), 100, 50)
    assert found.tolist() == [pytest.approx(1), pytest.approx(0)]
