"""Grown masks, against their definition."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from pvtt_flow.core.growth import grow
from pvtt_flow.core.profile import Shape

Mask = NDArray[np.bool_]
MASKS = arrays.arrays(np.bool_, st.tuples(st.integers(1, 14), st.integers(1, 17)))
RADII = st.integers(0, 4)


def by_definition(mask: Mask, shape: str, radius_px: int) -> Mask:
    """Every pixel with one of the mask under the kernel around it."""
    grown = np.zeros_like(mask)
    for y, x in np.argwhere(mask):
        for dy in range(-radius_px, radius_px + 1):
            for dx in range(-radius_px, radius_px + 1):
                inside = 0 <= y + dy < mask.shape[0] and 0 <= x + dx < mask.shape[1]
                if inside and (shape == "square" or 0 in (dx, dy)):
                    grown[y + dy, x + dx] = True
    return grown


@pytest.mark.parametrize("shape", ["square", "cross"])
@given(mask=MASKS, radius_px=RADII)
def test_dilation(shape: Shape, mask: Mask, radius_px: int) -> None:
    assert np.array_equal(grow(mask, shape, radius_px), by_definition(mask, shape, radius_px))
    # COCO's masks are columns in memory.
    assert np.array_equal(
        grow(np.asfortranarray(mask), shape, radius_px), by_definition(mask, shape, radius_px)
    )


@given(mask=MASKS, radius_px=RADII)
def test_order_of_the_shapes(mask: Mask, radius_px: int) -> None:
    """A mask is within its hull, the hull within the box; an ellipse within a square."""
    hull, box = grow(mask, "hull"), grow(mask, "box")
    assert not np.any(mask & ~hull)
    assert not np.any(hull & ~box)
    assert not np.any(grow(mask, "ellipse", radius_px) & ~grow(mask, "square", radius_px))
    rows, columns = np.asarray(mask.any(axis=1)), np.asarray(mask.any(axis=0))
    assert np.array_equal(box.any(axis=1), spanned(rows))
    assert np.array_equal(box.any(axis=0), spanned(columns))
    assert box.sum() == spanned(rows).sum() * spanned(columns).sum()


def spanned(line: Mask) -> Mask:
    places = np.flatnonzero(line)
    filled = np.zeros_like(line)
    if len(places):
        filled[places[0] : places[-1] + 1] = True
    return filled


@given(mask=MASKS, side_px=st.integers(1, 6))
def test_blocks(mask: Mask, side_px: int) -> None:
    filled = grow(mask, "square", 0, side_px)
    for y, x in np.ndindex(mask.shape):
        top, left = y - y % side_px, x - x % side_px
        assert filled[y, x] == mask[top : top + side_px, left : left + side_px].any()


def test_the_mask_itself_is_not_changed() -> None:
    mask = np.zeros((9, 9), np.bool_)
    mask[4, 4] = True
    before = mask.copy()
    assert grow(mask, "ellipse", 2).sum() == 17
    assert np.array_equal(mask, before)
