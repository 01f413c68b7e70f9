"""Pixels at the place where a consumer sees them."""

from typing import get_args

import numpy as np
import pytest

from pvtt_flow.core.placed_pixels import Resize, inside, placed_mask, placed_picture
from pvtt_flow.core.placement import place
from pvtt_flow.core.profile import PictureSize

CROP = PictureSize(width_px=40, height_px=20, fit="crop")
PAD = PictureSize(width_px=40, height_px=20, fit="pad")


def test_a_picture_of_the_right_size_is_unchanged() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (20, 40, 3), np.uint8)
    assert np.array_equal(placed_picture(rgb, place(CROP, 40, 20)), rgb)


def test_crop_cuts_both_ends_off() -> None:
    rgb = np.zeros((40, 40, 3), np.uint8)
    rgb[10:30] = 200
    placement = place(CROP, 40, 40)
    assert inside(placement, 40, 40) == (0, -10, 40, 40)
    assert np.array_equal(placed_picture(rgb, placement), np.full((20, 40, 3), 200))
    mask = np.zeros((40, 40), np.bool_)
    mask[12, 3] = mask[5, 5] = True
    assert np.argwhere(placed_mask(mask, placement, "nearest")).tolist() == [[2, 3]]


def test_pad_adds_equal_bars() -> None:
    rgb = np.full((20, 20, 3), 200, np.uint8)
    placement = place(PAD, 20, 20)
    assert inside(placement, 20, 20) == (10, 0, 20, 20)
    placed = placed_picture(rgb, placement)
    assert np.array_equal(placed[:, 10:30], rgb)
    assert not placed[:, :10].any()
    assert not placed[:, 30:].any()
    assert placed_mask(np.ones((20, 20), np.bool_), placement, "area").sum() == 400


@pytest.mark.parametrize("resize", get_args(Resize))
@pytest.mark.parametrize("source", [(80, 40), (24, 12), (120, 60)])
def test_outlines_stay_where_they_are(resize: Resize, source: tuple[int, int]) -> None:
    width_px, height_px = source
    # COCO's masks are in the order of columns.
    mask = np.zeros((height_px, width_px), np.bool_, order="F")
    mask[height_px // 4 : height_px // 2, width_px // 4 : width_px // 2] = True
    expected = np.zeros((20, 40), np.bool_)
    expected[5:10, 10:20] = True
    assert np.array_equal(placed_mask(mask, place(CROP, width_px, height_px), resize), expected)
