"""Mask logits to packed bits and masks."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray
from torch.nn import functional

from pvtt_flow.models.sam2.mask_output import PendingMasks, pack, packed_masks, unpack


@settings(max_examples=60, derandomize=True)
@given(masks=arrays(np.bool_, array_shapes(min_dims=3, max_dims=3, max_side=20)))
def test_packed_masks_are_unpacked(masks: NDArray[np.bool_]) -> None:
    bits = pack(torch.from_numpy(masks)).numpy()
    assert bits.shape == (len(masks), -(-masks[0].size // 8))
    for row, mask in zip(bits, masks, strict=True):
        assert np.array_equal(unpack(row, mask.shape), mask)


def test_an_unpacked_mask_is_column_major() -> None:
    mask = unpack(pack(torch.ones(1, 5, 7, dtype=torch.bool)).numpy()[0], (5, 7))
    assert mask.flags.f_contiguous


@settings(max_examples=20, derandomize=True)
@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    logits=arrays(np.float32, (2, 8, 8), elements=st.floats(-9, 9, width=32)),
)
def test_logits_are_resized_before_the_threshold(
    height: int, width: int, logits: NDArray[np.float32]
) -> None:
    masks = list(PendingMasks(torch.from_numpy(logits), (), (height, width)).read()[1])
    resized = functional.interpolate(
        torch.from_numpy(logits)[None], size=(height, width), mode="bilinear", align_corners=False
    )
    assert np.array_equal(np.stack(masks), (resized[0] > 0).numpy())


def test_masks_are_packed_a_few_at_a_time() -> None:
    logits = torch.randn(5, 8, 8, generator=torch.Generator().manual_seed(0))
    masks = np.stack(list(PendingMasks(logits, (), (31, 17)).read()[1]))
    for max_pixels in (1, 2 * 31 * 17, 1 << 20):
        packed = packed_masks(logits, (31, 17), max_pixels)
        assert torch.equal(packed, pack(torch.from_numpy(masks)))


def test_no_objects_have_no_masks() -> None:
    numbers, masks = PendingMasks(torch.empty(0), [torch.empty(0)], (4, 4)).read()
    assert (numbers, list(masks)) == ([[]], [])
