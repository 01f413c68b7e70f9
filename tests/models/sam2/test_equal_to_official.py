"""Results of the scheduler against those of the official predictor on the same frames."""

from collections.abc import Sequence

import numpy as np
import pytest

from pvtt_flow.models.sam2.memory_bank import MemoryBank, MemoryQuery
from pvtt_flow.models.sam2.tensors import MemoryContext
from pvtt_flow.types import Prompt
from tests.models.sam2.compare import compare, outputs_by_object
from tests.models.sam2.float32_memories import float32_memories
from tests.models.sam2.pair import Pair
from tests.models.sam2.run_scheduler import run
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

# One memory that is rounded differently changes later logits by 1e-4, and a chain of them by 2e-3.
MAX_LOGIT_BFLOAT16_MEMORIES = 1e-2


def staggered() -> list[Shot]:
    """Make shots with fewer and more than 16 frames, one to five objects, and various prompts."""
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
        # From a box of this square, rounding grows too much in 60 frames: the official predictor is
        # off by 0.09 from itself with its first weight off by a millionth.
        shot(60, (0, mask_of(0, 0)), (10, mask_of(1, 10)), (25, box_and_click(1, 25))),
    ]


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[Sequence[MemoryQuery]]:
    """Queries of each batch."""
    batches: list[Sequence[MemoryQuery]] = []
    read = MemoryBank.read

    def recording_read(self: MemoryBank, queries: Sequence[MemoryQuery]) -> MemoryContext:
        batches.append(queries)
        return read(self, queries)

    monkeypatch.setattr(MemoryBank, "read", recording_read)
    return batches


@pytest.mark.slow
def test_concurrent_shots(embedded: Pair, batches: list[Sequence[MemoryQuery]]) -> None:
    embedded.difference(staggered(), "both", max_concurrent_shots=3).check()
    assert any(len({query.position for query in batch}) >= 3 for batch in batches)
    assert any({query.time_sign for query in batch} == {1, -1} for batch in batches)
    lengths = [{min(query.num_frames, 16) for query in batch} for batch in batches]
    assert any(len(batch_lengths) >= 2 for batch_lengths in lengths)


def test_sixty_frames_from_a_box(embedded: Pair) -> None:
    assert embedded.difference([rendered(0, 60)[0]], "forward").check().num_outputs == 60


def test_concurrent_shots_of_an_untrained_model(untrained: Pair) -> None:
    untrained.difference(staggered()[:-1], "forward", max_concurrent_shots=3).check()


def test_concurrent_shots_tracked_backward(untrained: Pair) -> None:
    untrained.difference(staggered(), "backward", max_concurrent_shots=3).check()


def test_bfloat16_memories(embedded: Pair) -> None:
    """Memories are rounded to bfloat16, as outside of tests."""
    difference = embedded.difference(staggered()[3:6], "forward", bfloat16_memories=True)
    difference.check(MAX_LOGIT_BFLOAT16_MEMORIES)


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
    ids=["box", "point", "two points", "points on and off", "box and point", "mask"],
)
def test_each_kind_of_prompt(each_model: Pair, prompt: Prompt) -> None:
    difference = each_model.difference([shot(3, (0, prompt))], "forward")
    assert difference.check().num_outputs == 3


def test_an_empty_mask_is_no_object(each_model: Pair) -> None:
    empty = Shot(shot(4).frames, {0: [mask_of(0, 0, side_px=0)]})
    each_model.difference([empty], "forward").check()


@pytest.mark.parametrize("seed", [26, 28])
def test_an_object_that_disappears(embedded: Pair, seed: int) -> None:
    leaving, true_masks = rendered(seed, 24, event="leave")
    with float32_memories():
        actual = outputs_by_object(leaving, run(embedded.model, [leaving], "forward")[0])
        expected = embedded.expected(leaving, "forward")
    compare(actual, expected).check()
    present = np.array([expected[0, position].score > 0 for position in range(24)])
    assert (present == true_masks.any((1, 2))).all(), "the model detects that it leaves and returns"
    assert present[0]
    assert present[-1]
    for position in np.flatnonzero(~present).tolist():
        assert actual[0, position].score <= 0
        assert (actual[0, position].logits == -1024).all()
