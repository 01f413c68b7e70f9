"""Readout of a memory against plain NumPy."""

import numpy as np
import torch
from numpy.typing import NDArray

from pvtt_flow.models.baselines.readout import (
    anisotropic_similarity,
    l2_similarity,
    top_k_softmax,
)
from tests.models.baselines.seeded import uniform

KEYS = uniform("keys", 4, 9)
QUERIES = uniform("queries", 4, 3)


def squared_distance(weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (N, Q) sums over channels, in which `weights` (C, Q) count."""
    difference = KEYS[:, :, None] - QUERIES[:, None, :]
    result: NDArray[np.float32] = (weights[:, None, :] * difference**2).sum(0)
    return result


def test_l2_similarity_is_the_distance_but_for_a_term_of_the_query() -> None:
    found = l2_similarity(torch.from_numpy(KEYS), torch.from_numpy(QUERIES)).numpy()
    expected = -squared_distance(np.ones_like(QUERIES)) / 2
    np.testing.assert_allclose(found - (QUERIES**2).sum(0) / 2, expected, atol=1e-6)


def test_anisotropic_similarity_weighs_channels_and_keys() -> None:
    selection = abs(uniform("selection", 4, 3))
    shrinkage = 1 + abs(uniform("shrinkage", 9))
    found = anisotropic_similarity(*map(torch.from_numpy, (KEYS, shrinkage, QUERIES, selection)))
    expected = -squared_distance(selection) * shrinkage[:, None] / 2
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-6)


def test_softmax_of_the_largest() -> None:
    similarity = uniform("similarity", 6, 3) * 200
    found = top_k_softmax(torch.from_numpy(similarity), 4).numpy()
    expected = np.zeros_like(similarity)
    for q in range(3):
        largest = np.argsort(similarity[:, q])[-4:]
        weights = np.exp(similarity[largest, q] - similarity[:, q].max())
        expected[largest, q] = weights / weights.sum()
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_small_memory_is_read_as_a_whole() -> None:
    similarity = torch.zeros(3, 2)
    assert torch.equal(top_k_softmax(similarity, 20), torch.full((3, 2), 1 / 3))
