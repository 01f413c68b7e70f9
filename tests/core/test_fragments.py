"""Fragments of masks: as many as a flood fill finds, and the box of the largest."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pvtt_flow.core import rle
from pvtt_flow.core.fragments import Fragments, fragments_of
from tests.core.test_rle import masks

Pixel = tuple[int, int]
# Masks whose runs end with their columns, and masks of many fragments.
sparse = st.tuples(st.integers(1, 12), st.integers(1, 12)).flatmap(
    lambda shape: arrays(bool, shape, elements=st.sampled_from([False, False, True]))
)


def found_in(mask: np.ndarray) -> Fragments:
    return fragments_of(rle.encode(mask), len(mask))


def flood_fill(mask: np.ndarray) -> list[list[Pixel]]:
    """The pixels (column, row) of each piece, pieces by their first pixel down the columns."""
    left = {(int(x), int(y)) for y, x in np.argwhere(mask)}
    pieces = []
    for first in sorted(left):
        stack = [first] if first in left else []
        left -= set(stack)
        piece = []
        while stack:
            x, y = stack.pop()
            piece.append((x, y))
            near = {(x + i, y + j) for i in (-1, 0, 1) for j in (-1, 0, 1)} & left
            left -= near
            stack += near
        if piece:
            pieces.append(piece)
    return pieces


@given(st.one_of(masks, sparse))
def test_every_mask(mask: np.ndarray) -> None:
    pieces = flood_fill(mask)
    if not pieces:
        assert found_in(mask) == Fragments(0, None)
        return
    columns, rows = zip(*max(pieces, key=len), strict=True)  # the first of equals
    box = min(columns), min(rows), max(columns) + 1, max(rows) + 1
    assert found_in(mask) == Fragments(len(pieces), box)


@pytest.mark.parametrize(
    ("name", "pixels", "expected"),
    [
        ("by a corner", [(0, 0), (1, 1), (4, 4)], Fragments(2, (0, 0, 2, 2))),
        ("by the other corner", [(1, 0), (0, 1), (4, 4)], Fragments(2, (0, 0, 2, 2))),
        ("bottom and top of the next column", [(0, 5), (1, 0), (1, 1)], Fragments(2, (1, 0, 2, 2))),
        ("equals: the leftmost", [(3, 0), (1, 5)], Fragments(2, (1, 5, 2, 6))),
        ("equals in a column: the topmost", [(3, 4), (3, 1)], Fragments(2, (3, 1, 4, 2))),
    ],
)
def test_pieces_that_touch(name: str, pixels: list[Pixel], expected: Fragments) -> None:
    mask = np.zeros((6, 6), bool)
    for x, y in pixels:
        mask[y, x] = True
    assert found_in(mask) == expected, name


def test_large_masks_are_as_opencv_finds_them() -> None:
    chance = np.random.default_rng(0)
    mask = np.zeros((480, 640), np.uint8)
    for radius in (120, *chance.integers(1, 9, 300)):
        center = int(chance.integers(0, 640)), int(chance.integers(0, 480))
        cv2.circle(mask, center, int(radius), 1, -1)
    count, _, statistics, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    pieces = statistics[1:]
    x, y, width, height, _ = map(int, pieces[pieces[:, cv2.CC_STAT_AREA].argmax()])
    assert count > 100
    assert found_in(mask.view(bool)) == Fragments(count - 1, (x, y, x + width, y + height))
