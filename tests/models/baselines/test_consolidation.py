"""Consolidation of a working memory against plain NumPy."""

import numpy as np
import pytest
import torch

from pvtt_flow.models.baselines.consolidation import (
    consolidated,
    prototypes,
    without_least_used,
)
from pvtt_flow.models.baselines.xmem_store import Elements
from tests.models.baselines.seeded import uniform

FRAME = 2


def elements(total: int, *groups: int) -> Elements:
    """Return elements with 3 channels, values of groups for their last ones, and a usage each."""
    fresh = Elements.fresh(
        torch.from_numpy(uniform("keys", 3, total)),
        torch.from_numpy(1 + abs(uniform("shrinkage", total))),
        torch.from_numpy(abs(uniform("selection", 3, total))),
        # Values tell their element.
        [torch.arange(total - n, total).float().expand(1, 1, n) for n in groups],
    )
    return fresh.read_with(torch.from_numpy(abs(uniform("usage", total, 4))))


def test_prototypes_are_the_most_used_with_values_of_all_candidates() -> None:
    candidates = elements(7, 7, 3)
    found = prototypes(candidates, 4)
    chosen = np.argsort(-candidates.usage.numpy())[:4]
    keys, selection = candidates.keys.numpy(), candidates.selection.numpy()
    difference = keys[:, :, None] - keys[:, None, chosen]
    distance = (selection[:, None, chosen] * difference**2).sum(0)
    similarity = -distance * candidates.shrinkage.numpy()[:, None] / 3**0.5
    weights = np.exp(similarity) / np.exp(similarity).sum(0)
    np.testing.assert_allclose(found.keys, keys[:, chosen])
    np.testing.assert_allclose(found.shrinkage, candidates.shrinkage.numpy() @ weights, rtol=1e-5)
    np.testing.assert_allclose(found.values[0][0, 0], np.arange(7) @ weights, rtol=1e-5)
    # The second group entered with element 4.
    late = np.exp(similarity[4:, chosen >= 4])
    np.testing.assert_allclose(
        found.values[1][0, 0], np.arange(4, 7) @ (late / late.sum(0)), rtol=1e-5
    )
    assert 0 < late.shape[1] < 4
    assert not found.uses.any()


def test_few_candidates_are_all_prototypes() -> None:
    assert len(prototypes(elements(3, 3), 128)) == 3


@pytest.mark.parametrize(
    ("late_frames", "left", "candidates"),
    [
        # Frames of a group that entered with the first, or later; which of its values are left.
        (6, [0, 1, 8, 9, 10, 11], 6),
        (5, [2, 3, 8, 9, 10, 11], 4),
        (4, [4, 5, 8, 9, 10, 11], None),
        (3, [6, 7, 8, 9, 10, 11], None),
        (2, [8, 9, 10, 11], None),
    ],
)
def test_first_frame_and_last_ones_are_left(
    late_frames: int, left: list[int], candidates: int | None
) -> None:
    working = elements(6 * FRAME, 6 * FRAME, late_frames * FRAME)
    found, added = consolidated(working, FRAME, 3, 20)
    indices = [0, 1, 8, 9, 10, 11]
    assert torch.equal(found.keys, working.keys[:, indices])
    assert torch.equal(found.usage, working.usage[indices])
    assert found.values[0].flatten().tolist() == indices
    assert found.values[1].flatten().tolist() == left
    assert len(added) == 6
    assert [v.shape[2] for v in added.values] == [6, *([] if candidates is None else [candidates])]


def test_least_used_are_forgotten_with_their_values() -> None:
    stored = elements(7, 7, 3)
    found = without_least_used(stored, 4)
    kept = sorted(np.argsort(-stored.usage.numpy())[:4].tolist())
    assert torch.equal(found.keys, stored.keys[:, kept])
    assert found.values[0].flatten().tolist() == kept
    assert found.values[1].flatten().tolist() == [i for i in kept if i >= 4]


def test_elements_of_equal_usage_are_forgotten_together() -> None:
    stored = elements(7, 7)
    stored.uses[:3] = 0
    assert len(without_least_used(stored, 6)) == 4


def test_store_with_room_forgets_nothing() -> None:
    stored = elements(7, 7)
    assert without_least_used(stored, 7) is stored
