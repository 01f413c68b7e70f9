"""Shapes of masks: pieces and holes as a flood fill finds them, and outlines of known forms."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pvtt_flow.core import rle
from pvtt_flow.core.mask_shape import MaskShape, shape_of, with_previous_iou
from pvtt_flow.types import MaskletFrame
from tests.core.test_rle import masks

Pixel = tuple[int, int]
# Masks whose runs end with their columns, and masks of many fragments.
sparse = st.tuples(st.integers(1, 12), st.integers(1, 12)).flatmap(
    lambda shape: arrays(bool, shape, elements=st.sampled_from([False, False, True]))
)


def found_in(mask: np.ndarray) -> MaskShape:
    return shape_of(rle.encode(mask), len(mask))


def fragments_in(mask: np.ndarray) -> tuple[int, tuple[int, ...] | None]:
    shape = found_in(mask)
    return shape.fragments, shape.largest_box_xyxy


def flood_fill(mask: np.ndarray, *, by_corners: bool = True) -> list[list[Pixel]]:
    """The pixels (column, row) of each piece, pieces by their first pixel down the columns."""
    steps = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if by_corners or not i or not j]
    left = {(int(x), int(y)) for y, x in np.argwhere(mask)}
    pieces = []
    for first in sorted(left):
        stack = [first] if first in left else []
        left -= set(stack)
        piece = []
        while stack:
            x, y = stack.pop()
            piece.append((x, y))
            near = {(x + i, y + j) for i, j in steps} & left
            left -= near
            stack += near
        if piece:
            pieces.append(piece)
    return pieces


@given(st.one_of(masks, sparse))
def test_every_mask(mask: np.ndarray) -> None:
    pieces = flood_fill(mask)
    if not pieces:
        assert found_in(mask) == MaskShape(0, None, 0, None)
        return
    outside_and_holes = flood_fill(np.pad(~mask, 1, constant_values=True), by_corners=False)
    assert found_in(mask).holes == len(outside_and_holes) - 1
    assert found_in(mask).compactness == pytest.approx(compactness_of(mask))
    columns, rows = zip(*max(pieces, key=len), strict=True)  # the first of equals
    box = min(columns), min(rows), max(columns) + 1, max(rows) + 1
    assert fragments_in(mask) == (len(pieces), box)


def compactness_of(mask: np.ndarray) -> float:
    """By the number of pixels that begin a run along a row, a column and both diagonals."""
    padded = np.pad(mask, 1)

    def begins(dy: int, dx: int) -> int:
        return int((padded & ~np.roll(padded, (dy, dx), (0, 1))).sum())

    straight, diagonal = begins(0, 1) + begins(1, 0), begins(1, 1) + begins(-1, 1)
    perimeter = np.pi / 4 * (straight + diagonal / np.sqrt(2))
    return float(min(1, 4 * np.pi * mask.sum() / perimeter**2))


@pytest.mark.parametrize(
    ("name", "pixels", "expected"),
    [
        ("by a corner", [(0, 0), (1, 1), (4, 4)], (2, (0, 0, 2, 2))),
        ("by the other corner", [(1, 0), (0, 1), (4, 4)], (2, (0, 0, 2, 2))),
        ("bottom and top of the next column", [(0, 5), (1, 0), (1, 1)], (2, (1, 0, 2, 2))),
        ("equals: the leftmost", [(3, 0), (1, 5)], (2, (1, 5, 2, 6))),
        ("equals in a column: the topmost", [(3, 4), (3, 1)], (2, (3, 1, 4, 2))),
    ],
)
def test_pieces_that_touch(
    name: str, pixels: list[Pixel], expected: tuple[int, tuple[int, ...]]
) -> None:
    mask = np.zeros((6, 6), bool)
    for x, y in pixels:
        mask[y, x] = True
    assert fragments_in(mask) == expected, name


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
    assert fragments_in(mask.view(bool)) == (count - 1, (x, y, x + width, y + height))


def drawn(*, rotation_deg: float = 0, hole_px: int = 0) -> np.ndarray:
    """Draw a bar of 120 x 30 pixels, with a round hole."""
    mask = np.zeros((200, 200), np.uint8)
    corners = cv2.boxPoints(((100, 100), (120, 30), rotation_deg))
    cv2.fillPoly(mask, [np.rint(corners).astype(np.int32)], 1)
    cv2.circle(mask, (100, 100), hole_px, 0, -1 if hole_px else 0)
    return mask.view(bool)


def test_compactness_tells_discs_from_bars_however_they_are_turned() -> None:
    disc = np.zeros((200, 200), np.uint8)
    cv2.circle(disc, (100, 100), 60, 1, -1)
    assert found_in(disc.view(bool)).compactness == pytest.approx(1, abs=0.02)
    exact = 4 * np.pi * 120 * 30 / 300**2
    for rotation_deg in (0, 20, 45, 70, 90):
        bar = found_in(drawn(rotation_deg=rotation_deg))
        assert bar.compactness == pytest.approx(exact, rel=0.12), rotation_deg
    with_hole = found_in(drawn(hole_px=10))
    assert with_hole.holes == 1
    assert with_hole.compactness is not None
    assert with_hole.compactness < exact * 0.8


def test_each_mask_is_compared_with_the_one_before() -> None:
    left, right = np.zeros((10, 10), bool), np.zeros((10, 10), bool)
    left[:, :6] = right[:, 2:] = True
    frames = [
        MaskletFrame(
            frame_index=n,
            pts_ns=n,
            rle=None if mask is None else rle.encode(mask),
            box_xyxy=None,
            area_px=0,
            object_score=None,
            predicted_iou=None,
            fragments=0,
        )
        for n, mask in enumerate([left, left, right, None, right, left])
    ]
    ious = [frame.previous_iou for frame in with_previous_iou(frames, 10, 10)]
    assert ious == [None, 1, pytest.approx(0.4), None, None, pytest.approx(0.4)]
