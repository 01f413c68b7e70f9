"""The proof of sameness: the engine against the official predictor fed the same frames."""

from collections.abc import Sequence

import numpy as np
import pytest

from pvtt_flow.models.sam2.memory_bank import Bank, Reader
from pvtt_flow.models.sam2.tensors import Past
from pvtt_flow.types import Prompt
from tests.models.sam2.compare import compare, sights
from tests.models.sam2.float32_memories import unrounded
from tests.models.sam2.pair import Pair
from tests.models.sam2.run_engine import run
from tests.models.sam2.shots import (
    OFF,
    ON,
    Shot,
    box,
    box_and_click,
    clicks,
    mask_of,
    rendered,
    shot,
    square_box,
)

# One memory that is rounded otherwise moves later logits by 1e-4, and a chain of them by 2e-3.
MAX_LOGIT_OF_ROUNDED = 1e-2


def staggered() -> list[Shot]:
    """Lengths on both sides of 16, one to five objects, prompted early, late and repeatedly."""
    return [
        shot(1, square_box(0, 0)),
        shot(2, square_box(0, 0), (0, mask_of(1, 0))),
        shot(7, square_box(0, 0), (2, box_and_click(3, 2)), (0, clicks(4, (20, 30, ON)))),
        shot(15, square_box(5, 0), (9, mask_of(5, 9)), (4, clicks(6, (30, 30, ON), (80, 60, OFF)))),
        shot(
            16,
            square_box(0, 0),
            (0, box(1, 50, 40, 70, 70)),
            (0, box_and_click(2, 0)),
            (0, clicks(3, (20, 30, ON), (80, 60, OFF))),
            (3, mask_of(4, 3)),
        ),
        shot(
            17,
            square_box(0, 1),
            square_box(0, 6),
            square_box(0, 12),
            (0, mask_of(1, 0)),
            (16, clicks(2, (60, 30, ON))),
        ),
        shot(60, square_box(0, 0), (10, mask_of(1, 10)), (25, box_and_click(1, 25))),
    ]


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[Sequence[Reader]]:
    """Who has read together."""
    found: list[Sequence[Reader]] = []
    read = Bank.read

    def noted(self: Bank, readers: Sequence[Reader]) -> Past:
        found.append(readers)
        return read(self, readers)

    monkeypatch.setattr(Bank, "read", noted)
    return found


def test_shots_that_share_lanes(embedded: Pair, batches: list[Sequence[Reader]]) -> None:
    embedded.difference(staggered(), "both", max_concurrent_shots=3).check()
    assert any(len({reader.frame for reader in batch}) >= 3 for batch in batches)
    assert any({reader.step for reader in batch} == {1, -1} for batch in batches)
    lengths = [{min(reader.num_frames, 16) for reader in batch} for batch in batches]
    assert any(len(different) >= 2 for different in lengths)


def test_shots_that_share_lanes_of_an_untrained_model(untrained: Pair) -> None:
    untrained.difference(staggered()[:-1], "forward", max_concurrent_shots=3).check()


def test_shots_that_share_lanes_going_back(untrained: Pair) -> None:
    untrained.difference(staggered(), "backward", max_concurrent_shots=3).check()


def test_memories_as_they_are_stored(embedded: Pair) -> None:
    """With the rounding of memories on both sides, as all other code runs them."""
    found = embedded.difference(staggered()[3:6], "forward", rounded=True)
    found.check(MAX_LOGIT_OF_ROUNDED)


@pytest.mark.parametrize(
    "prompt",
    [
        box(0, 8, 20, 32, 44),
        clicks(0, (20, 30, ON)),
        clicks(0, (20, 30, ON), (25, 35, ON)),
        clicks(0, (20, 30, ON), (80, 60, OFF)),
        box_and_click(0, 0),
        mask_of(0, 0),
    ],
    ids=["box", "click", "two clicks", "click on and off", "box and click", "mask"],
)
def test_every_kind_of_prompt(either: Pair, prompt: Prompt) -> None:
    found = either.difference([shot(3, (0, prompt))], "forward")
    assert found.check().sights == 3


def test_an_empty_mask_is_no_object(either: Pair) -> None:
    empty = Shot(shot(4).frames, {0: [mask_of(0, 0, side_px=0)]})
    either.difference([empty], "forward").check()


@pytest.mark.parametrize("seed", [26, 28])
def test_an_object_that_disappears(embedded: Pair, seed: int) -> None:
    gone, truth = rendered(seed, 24, event="leave")
    with unrounded():
        found = sights(gone, run(embedded.model, [gone], "forward")[0])
        expected = embedded.expected(gone, "forward")
    compare(found, expected).check()
    present = np.array([expected[0, position].score > 0 for position in range(24)])
    assert (present == truth.any((1, 2))).all(), "the model sees that it leaves and comes back"
    assert present[0]
    assert present[-1]
    for position in np.flatnonzero(~present).tolist():
        assert found[0, position].score <= 0
        assert (found[0, position].logits == -1024).all()
