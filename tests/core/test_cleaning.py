"""Cleaning of masks, against masks that are drawn by hand."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pvtt_flow.core import rle
from pvtt_flow.core.cleaning import (
    CleanParams,
    Mask,
    clean_shape,
    cleaned,
    fill_holes,
    keep_pieces,
    smooth,
)
from pvtt_flow.core.mask_shape import with_mask
from pvtt_flow.types import Masklet, MaskletFrame, Prompt
from tests.dataset.dataset_rows import HEIGHT_PX, WIDTH_PX, masklet

MASKS = arrays(np.bool_, st.tuples(st.integers(1, 12), st.integers(1, 12)))


def drawn(*rows: str) -> Mask:
    return np.array([[pixel == "#" for pixel in row] for row in rows])


def test_a_hole_is_filled_if_it_is_small_and_surrounded() -> None:
    ring = drawn("####.", "#..#.", "####.", "#.#..")
    assert (fill_holes(ring, 0.2) == drawn("####.", "####.", "####.", "#.#..")).all()
    assert (fill_holes(ring, 0.1) == ring).all(), "2 pixels are more than 0.1 of 12"


def test_a_hole_does_not_leak_through_a_corner() -> None:
    leaky = drawn(".##", "#.#", "###")
    assert (fill_holes(leaky, 1.0) == drawn(".##", "###", "###")).all()


def test_small_pieces_go_and_pieces_that_touch_by_a_corner_stay() -> None:
    pieces = drawn("##...#", "##....", "..#...")
    assert (keep_pieces(pieces, 0.5) == drawn("##....", "##....", "..#...")).all()
    assert (keep_pieces(pieces, 0.2) == pieces).all()


def test_of_equal_pieces_one_is_the_largest() -> None:
    pieces = drawn("#.#.#")
    assert keep_pieces(pieces, 1.0).sum() == 1
    assert keep_pieces(pieces, 0.99).sum() == 3


def test_closing_joins_and_opening_removes() -> None:
    halves = np.zeros((20, 30), np.bool_)
    halves[5:15, 4:12] = halves[5:15, 14:24] = True
    joined = clean_shape(halves, CleanParams(close_px=2))
    assert joined[8:12, 12:14].all()
    assert (joined | ~halves).all(), "closing takes nothing away"
    thread = halves.copy()
    thread[10, 24:30] = True
    assert not clean_shape(thread, CleanParams(open_px=2))[10, 27:].any()


def test_a_mask_at_the_border_is_not_eaten_from_there() -> None:
    corner = np.zeros((20, 20), np.bool_)
    corner[:10, :10] = True
    assert clean_shape(corner, CleanParams(open_px=3))[:6, :6].all()
    assert not clean_shape(~corner, CleanParams(close_px=1))[:8, :8].any()


@given(MASKS, st.integers(0, 3), st.integers(0, 3), st.floats(0, 1), st.floats(0, 1))
def test_cleaning_never_leaves_nothing_and_is_done_once(
    mask: Mask, close_px: int, open_px: int, min_piece: float, holes: float
) -> None:
    params = CleanParams(close_px=close_px, open_px=open_px, min_piece=min_piece, fill_holes=holes)
    found = clean_shape(mask, params)
    assert found.shape == mask.shape
    assert found.any() == mask.any()
    pieces = CleanParams(min_piece=min_piece, fill_holes=holes)
    once = clean_shape(mask, pieces)
    assert (fill_holes(once, 0.0) == once).all()
    assert (
        keep_pieces(keep_pieces(mask, min_piece), min_piece) == keep_pieces(mask, min_piece)
    ).all()


@settings(max_examples=60)
@given(arrays(np.bool_, st.tuples(st.integers(1, 9), st.just(2), st.just(2))), st.integers(0, 4))
def test_smoothing_is_the_majority_of_the_neighbours(masks: Mask, reach: int) -> None:
    shares = [masks[max(t - reach, 0) : t + reach + 1].mean(0) for t in range(len(masks))]
    expected = [
        (share > 0.5) | ((share == 0.5) & mask) for share, mask in zip(shares, masks, strict=True)
    ]
    found = list(smooth(iter(masks), reach))
    assert len(found) == len(masks)
    assert all((a == b).all() for a, b in zip(found, expected, strict=True))


def square(left: int) -> Mask:
    mask = np.zeros((HEIGHT_PX, WIDTH_PX), np.bool_)
    mask[10:20, left : left + 10] = True
    return mask


def of_masks(*masks: Mask, prompts: tuple[Prompt, ...] = ()) -> Masklet:
    empty = MaskletFrame(
        frame_index=0, pts_ns=0, rle=None, box_xyxy=None, area_px=0, object_score=5.0,
        predicted_iou=0.9, fragments=0, flags=("absent",),
    )  # fmt: skip
    frames = [
        with_mask(replace(empty, frame_index=i, pts_ns=i), mask) for i, mask in enumerate(masks)
    ]
    return masklet("a", frames=tuple(frames), prompts=prompts or masklet("a").prompts)


def test_by_default_masks_stay_as_they_are() -> None:
    made = of_masks(square(5))
    assert cleaned(made, CleanParams()) is made


def test_a_clean_masklet_has_the_shapes_of_its_masks() -> None:
    torn = square(5)
    torn[14, 8] = False
    torn[30, 40] = True
    made = of_masks(torn, torn)
    assert (made.frames[0].fragments, made.frames[0].holes) == (2, 1)
    found = cleaned(made, CleanParams(min_piece=0.5, fill_holes=0.5))
    assert [f.rle for f in found.frames] == [rle.encode(square(5))] * 2
    first, second = found.frames
    assert (first.fragments, first.holes, first.area_px) == (1, 0, 100)
    assert first.box_xyxy == first.largest_fragment_box_xyxy == (5, 10, 15, 20)
    assert (first.object_score, first.predicted_iou) == (5.0, 0.9)
    assert second.previous_iou == 1.0


def test_flicker_goes_both_ways() -> None:
    nothing = np.zeros((HEIGHT_PX, WIDTH_PX), np.bool_)
    made = of_masks(square(5), nothing, square(5), nothing, nothing, square(5), nothing, nothing)
    found = cleaned(made, CleanParams(smooth_frames=1))
    # Of two at an end, the frame itself decides.
    assert [f.rle is not None for f in found.frames] == [
        True, True, False, False, False, False, False, False,
    ]  # fmt: skip
    assert found.frames[2].flags == ("absent",)
    assert found.frames[1].flags == ()


@pytest.mark.parametrize("is_mask", [True, False])
def test_the_mask_of_a_mask_prompt_stays(*, is_mask: bool) -> None:
    torn = square(5)
    torn[14, 8] = False
    prompt = (
        Prompt(object_id=0, frame_index=0, mask_rle=rle.encode(torn))
        if is_mask
        else Prompt(object_id=0, frame_index=0, box_xyxy=(5.0, 10.0, 15.0, 20.0))
    )
    found = cleaned(of_masks(torn, torn, prompts=(prompt,)), CleanParams(fill_holes=0.5))
    assert [f.holes for f in found.frames] == [1 if is_mask else 0, 0]
