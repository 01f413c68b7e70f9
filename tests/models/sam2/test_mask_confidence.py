"""Confidence of masks: each number as its definition has it, pixel by pixel."""

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from pvtt_flow.models.sam2.mask_confidence import (
    confidence_of,
    number_or_none,
    to_confidence,
    unknown_confidence,
)
from pvtt_flow.types import MaskConfidence

Logits = NDArray[np.float64]


def by_definition(candidates: Logits, best: int) -> list[float]:
    """Return the numbers of one mask, from logits (n, H, W)."""
    logits = candidates[best]
    p = 1 / (1 + np.exp(-logits))
    mask = logits > 0
    entropy = -(p * np.log2(p) + (1 - p) * np.log2(1 - p))
    ious = [
        (mask & (other > 0)).sum() / (mask | (other > 0)).sum()
        for n, other in enumerate(candidates)
        if n != best
    ]
    return [
        entropy.sum() / p.sum(),
        (logits > 1).sum() / (logits > -1).sum(),
        2 * p[mask].sum() / (p.sum() + mask.sum()),
        min(ious, default=math.nan),
    ]


@pytest.mark.parametrize("num_candidates", [1, 2, 3])
def test_numbers_are_those_of_their_definitions(num_candidates: int) -> None:
    chance = np.random.default_rng(num_candidates)
    candidates = chance.normal(0, 3, (4, num_candidates, 8, 8))
    best = chance.integers(0, num_candidates, 4)
    expected = [by_definition(each, b) for each, b in zip(candidates, best, strict=True)]
    found = confidence_of(torch.from_numpy(candidates), torch.from_numpy(best))
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5)


def test_a_sure_mask_has_no_entropy_and_is_stable() -> None:
    """Probabilities that are rounded to 0 and 1 among them."""
    logits = torch.full((1, 1, 4, 4), -200.0)
    logits[..., :2, :2] = 200
    entropy, stability, dice, candidate = confidence_of(logits, torch.tensor([0]))[0].tolist()
    assert (entropy, stability, dice) == (0, 1, 1)
    assert math.isnan(candidate)


def test_what_has_no_value_is_none() -> None:
    nothing = torch.full((1, 3, 4, 4), -200.0)
    _, stability, _, candidate = confidence_of(nothing, torch.tensor([1]))[0].tolist()
    assert (number_or_none(stability), number_or_none(candidate)) == (None, None)
    assert to_confidence(unknown_confidence(1, nothing.device)[0].tolist()) is None
    row = [0.5, math.nan, 1.0, math.nan]
    assert to_confidence(row) == MaskConfidence(mask_entropy=0.5, soft_dice=1.0)


def test_half_precision_is_computed_in_float32() -> None:
    logits = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)).bfloat16()
    best = torch.tensor([0, 2])
    torch.testing.assert_close(confidence_of(logits, best), confidence_of(logits.float(), best))
