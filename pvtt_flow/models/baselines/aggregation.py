"""Probabilities of objects that exclude each other, and masks that are given for some of them."""

from collections.abc import Sequence

import torch
from torch import Tensor

_EPSILON = 1e-7


def aggregated(probabilities: Tensor) -> Tensor:
    """Return probabilities (K, H, W) of objects after the soft aggregation with the background.

    The odds of each object, and of the background as the product of all (1 - p), are normalized
    (STM, arxiv.org/abs/1904.00607, section 3.3).
    """
    background = (1 - probabilities).prod(0, keepdim=True)
    p = torch.cat([background, probabilities]).clamp(_EPSILON, 1 - _EPSILON)
    return (p / (1 - p)).log().softmax(0)[1:]


def with_given(predicted: Tensor, given: Tensor, indices: Sequence[int]) -> Tensor:
    """Return probabilities (K, H, W) where the masks of some objects are given.

    `predicted` (J, H, W) are those of the first J objects, `given` (G, H, W) float masks of
    objects `indices`. A given mask replaces what was predicted for its object, and no other
    predicted object is where a mask is given; then all are aggregated.
    """
    count = max(len(predicted), max(indices) + 1)
    merged = predicted.new_zeros(count, *given.shape[1:])
    merged[: len(predicted)] = predicted * (given.sum(0) <= 0.5)
    merged[list(indices)] = given
    return aggregated(merged)
