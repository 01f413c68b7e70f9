"""Prompts as tensors."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from pvtt_flow.core import rle
from pvtt_flow.errors import DataError
from pvtt_flow.models.sam2.prompt_encoding import MaskFormat, encode_prompts
from pvtt_flow.types import Prompt
from tests.models.sam2.shots import HEIGHT_PX, OFF, ON, WIDTH_PX, box, clicks, mask_of

DISPLAY_PX = HEIGHT_PX, WIDTH_PX
SIZE_PX = 128


def test_points_are_scaled_to_the_square_image() -> None:
    prompt = encode_prompts({3: [clicks(0, (48, 36, ON), (96, 0, OFF))]}, DISPLAY_PX, SIZE_PX)[0][3]
    assert prompt.points.tolist() == [[64, 64], [128, 0]]
    assert prompt.labels.tolist() == [1, 0]
    assert prompt.mask is None
    assert not prompt.is_correction


def test_a_box_is_two_points_before_the_others() -> None:
    prompts = [clicks(0, (48, 36, ON)), box(0, 0, 0, 96, 72)]
    prompt = encode_prompts({0: prompts}, DISPLAY_PX, SIZE_PX)[0][0]
    assert prompt.points.tolist() == [[0, 0], [128, 128], [64, 64]]
    assert prompt.labels.tolist() == [2, 3, 1]


def test_prompts_are_grouped_by_ascending_object_id() -> None:
    prompts = {4: [box(7, 0, 0, 9, 9), box(2, 0, 0, 9, 9)], 1: [mask_of(7, 0)]}
    encoded = encode_prompts(prompts, DISPLAY_PX, SIZE_PX)
    assert list(encoded) == [2, 7]
    assert set(encoded[2]) == {4}
    assert set(encoded[7]) == {1, 4}


def test_a_mask_replaces_points_and_is_resized_as_the_official_one() -> None:
    mask_prompt = mask_of(0, 0)
    prompt = encode_prompts(
        {0: [mask_prompt, clicks(0, (1, 1, ON), correction=True)]}, DISPLAY_PX, SIZE_PX
    )[0][0]
    mask = torch.from_numpy(rle.decode(mask_prompt.mask_rle or "", *DISPLAY_PX)).float()[None, None]
    resized = functional.interpolate(
        mask, size=(SIZE_PX, SIZE_PX), mode="bilinear", align_corners=False, antialias=True
    )
    assert prompt.mask is not None
    assert torch.equal(prompt.mask, (resized >= 0.5).float()[0])
    assert not prompt.is_correction


def test_a_mask_of_the_model_s_size_is_not_resized() -> None:
    mask = np.random.default_rng(0).random((SIZE_PX, SIZE_PX)) > 0.5
    mask_prompt = Prompt(object_id=0, frame_index=0, mask_rle=rle.encode(mask))
    prompt = encode_prompts({0: [mask_prompt]}, (SIZE_PX, SIZE_PX), SIZE_PX)[0][0]
    assert prompt.mask is not None
    assert np.array_equal(prompt.mask[0].numpy(), mask)


def test_a_correction_has_only_correction_prompts() -> None:
    correction = clicks(0, (1, 1, ON), correction=True)
    start = (0, [box(0, 0, 0, 9, 9)])
    encoded = encode_prompts(
        dict([start, (1, [correction]), (2, [correction, box(0, 0, 0, 9, 9)])]),
        DISPLAY_PX,
        SIZE_PX,
    )
    assert [encoded[0][k].is_correction for k in range(3)] == [False, True, False]


def test_a_mask_may_keep_soft_edges() -> None:
    """SAM 3 thresholds no mask, and resizes the one that is shown to each size."""
    shown = np.zeros((40, 40), np.bool_)
    shown[:21, :21] = True
    prompts = {0: [Prompt(object_id=0, frame_index=0, mask_rle=rle.encode(shown))]}
    hard = encode_prompts(prompts, (40, 40), 14, MaskFormat(16))[0][0]
    soft = encode_prompts(prompts, (40, 40), 14, MaskFormat(16, keeps_soft_edges=True))[0][0]
    assert hard.mask is not None
    assert soft.mask is not None
    assert soft.small_mask is not None
    assert (hard.mask.shape, soft.small_mask.shape) == ((1, 16, 16), (1, 4, 4))
    assert {*hard.mask.flatten().tolist()} == {0.0, 1.0}
    assert 0 < soft.mask[0, 0, 8] < 0.5
    assert torch.equal(hard.mask, (soft.mask >= 0.5).float())
    wanted = functional.interpolate(
        torch.from_numpy(shown).float()[None, None], (4, 4), mode="bilinear", antialias=True
    )
    assert torch.equal(soft.small_mask, wanted[0])


@pytest.mark.parametrize(
    ("prompts", "message"),
    [
        ([box(1, 0, 0, 9, 9), box(1, 2, 2, 9, 9)], "at most one box and one mask .* got 2 boxes"),
        ([mask_of(1, 0), mask_of(1, 1)], "got 0 boxes and 2 masks for object 1 on frame 0"),
        ([clicks(1, (1, 1, ON), correction=True)], "object 1 must have a prompt that is not a cor"),
    ],
)
def test_prompts_that_cannot_be_tracked(prompts: list[Prompt], message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        encode_prompts({0: prompts, 1: [box(0, 0, 0, 9, 9)]}, DISPLAY_PX, SIZE_PX)
    assert caught.value.kind == "bad_prompt"


@pytest.mark.parametrize(("side_px", "survives"), [(1, False), (2, False), (8, True)])
def test_a_mask_that_vanishes_at_the_model_s_size(side_px: int, survives: bool) -> None:  # noqa: FBT001
    mask = np.zeros((SIZE_PX, SIZE_PX), np.bool_)
    mask[9 : 9 + side_px, 9 : 9 + side_px] = True
    speck = {0: [Prompt(object_id=3, frame_index=5, mask_rle=rle.encode(mask))]}
    if survives:
        assert encode_prompts(speck, (SIZE_PX, SIZE_PX), SIZE_PX)[3][0].mask is not None
        return
    with pytest.raises(DataError, match="mask of object 3 on frame 5 must be visible") as caught:
        encode_prompts(speck, (SIZE_PX, SIZE_PX), SIZE_PX)
    assert caught.value.kind == "bad_prompt"


def test_a_speck_of_a_large_video_is_no_empty_mask() -> None:
    """Refusal, though nothing is left at the size of prompts; an empty mask says "not there"."""
    display_px = (20 * SIZE_PX, 20 * SIZE_PX)
    mask = np.zeros(display_px, np.bool_)
    empty = {0: [Prompt(object_id=0, frame_index=0, mask_rle=rle.encode(mask))]}
    encoded = encode_prompts(empty, display_px, SIZE_PX)[0][0].mask
    assert encoded is not None
    assert not encoded.any()
    mask[100:103, 100:103] = True
    speck = {0: [Prompt(object_id=0, frame_index=0, mask_rle=rle.encode(mask))]}
    for form in (MaskFormat(SIZE_PX), MaskFormat(SIZE_PX, keeps_soft_edges=True)):
        with pytest.raises(DataError, match="got a speck"):
            encode_prompts(speck, display_px, SIZE_PX, form)
