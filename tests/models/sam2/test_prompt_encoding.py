"""What is asked, in the model's terms."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from pvtt_flow.core import rle
from pvtt_flow.errors import DataError
from pvtt_flow.models.sam2.prompt_encoding import asks_of
from pvtt_flow.types import Prompt
from tests.models.sam2.shots import HEIGHT_PX, OFF, ON, WIDTH_PX, box, clicks, mask_of

DISPLAY_PX = HEIGHT_PX, WIDTH_PX
SIZE_PX = 128


def test_points_are_stretched_with_the_picture() -> None:
    ask = asks_of({3: [clicks(0, (48, 36, ON), (96, 0, OFF))]}, DISPLAY_PX, SIZE_PX)[0][3]
    assert ask.points.tolist() == [[64, 64], [128, 0]]
    assert ask.labels.tolist() == [1, 0]
    assert ask.mask is None
    assert not ask.corrects


def test_a_box_is_two_points_before_all_others() -> None:
    given = [clicks(0, (48, 36, ON)), box(0, 0, 0, 96, 72)]
    ask = asks_of({0: given}, DISPLAY_PX, SIZE_PX)[0][0]
    assert ask.points.tolist() == [[0, 0], [128, 128], [64, 64]]
    assert ask.labels.tolist() == [2, 3, 1]


def test_objects_are_sorted_and_apart() -> None:
    prompts = {4: [box(7, 0, 0, 9, 9), box(2, 0, 0, 9, 9)], 1: [mask_of(7, 0)]}
    asks = asks_of(prompts, DISPLAY_PX, SIZE_PX)
    assert list(asks) == [2, 7]
    assert set(asks[2]) == {4}
    assert set(asks[7]) == {1, 4}


def test_a_mask_counts_alone_and_is_resized_as_the_official_one() -> None:
    given = mask_of(0, 0)
    ask = asks_of({0: [given, clicks(0, (1, 1, ON), correction=True)]}, DISPLAY_PX, SIZE_PX)[0][0]
    mask = torch.from_numpy(rle.decode(given.mask_rle or "", *DISPLAY_PX)).float()[None, None]
    resized = functional.interpolate(
        mask, size=(SIZE_PX, SIZE_PX), mode="bilinear", align_corners=False, antialias=True
    )
    assert ask.mask is not None
    assert torch.equal(ask.mask, (resized >= 0.5).float()[0])
    assert not ask.corrects


def test_a_mask_of_the_model_s_size_is_kept() -> None:
    mask = np.random.default_rng(0).random((SIZE_PX, SIZE_PX)) > 0.5
    given = Prompt(object_id=0, frame_index=0, mask_rle=rle.encode(mask))
    ask = asks_of({0: [given]}, (SIZE_PX, SIZE_PX), SIZE_PX)[0][0]
    assert ask.mask is not None
    assert np.array_equal(ask.mask[0].numpy(), mask)


def test_a_frame_corrects_when_all_of_its_prompts_do() -> None:
    correction = clicks(0, (1, 1, ON), correction=True)
    start = (0, [box(0, 0, 0, 9, 9)])
    asks = asks_of(
        dict([start, (1, [correction]), (2, [correction, box(0, 0, 0, 9, 9)])]),
        DISPLAY_PX,
        SIZE_PX,
    )
    assert [asks[0][k].corrects for k in range(3)] == [False, True, False]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([box(1, 0, 0, 9, 9), box(1, 2, 2, 9, 9)], "at most one box and one mask .* got 2 boxes"),
        ([mask_of(1, 0), mask_of(1, 1)], "got 0 boxes and 2 masks for object 1 on frame 0"),
        ([clicks(1, (1, 1, ON), correction=True)], "object 1 must have a prompt that is not a cor"),
    ],
)
def test_what_cannot_be_followed(given: list[Prompt], message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        asks_of({0: given, 1: [box(0, 0, 0, 9, 9)]}, DISPLAY_PX, SIZE_PX)
    assert caught.value.kind == "bad_prompt"
