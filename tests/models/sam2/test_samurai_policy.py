"""SAMURAI's three scores."""

import pytest

from pvtt_flow.models.sam2.memory_policy import Remembered
from pvtt_flow.models.sam2.observation import Observation
from pvtt_flow.models.sam2.samurai_policy import SamuraiPolicy
from tests.models.sam2.seen import NUM_MEMORIES, NUM_POINTERS, absent, after, seen

ELSEWHERE = (28, 28, 38, 38)


def remembered(*observations: Observation) -> Remembered:
    return after(SamuraiPolicy(NUM_MEMORIES, NUM_POINTERS), observations)


@pytest.mark.parametrize(
    ("object_score", "predicted_iou", "is_good"),
    [(0.1, 0.51, True), (0.0, 0.9, False), (0.1, 0.5, False), (-1.0, 0.9, False)],
)
def test_presence_and_iou(object_score: float, predicted_iou: float, *, is_good: bool) -> None:
    state = remembered(seen(object_score, predicted_iou), seen())
    assert (1 in state.memories) == is_good


def test_pointers_are_those_of_the_latest_frames() -> None:
    assert remembered(seen(), absent(), seen(), absent()).pointers == (1, 2, 3, 4)


@pytest.mark.parametrize(("num_before", "is_good"), [(14, True), (15, False)])
def test_a_jump_is_bad_after_15_reliable_frames(num_before: int, *, is_good: bool) -> None:
    frames = [seen()] * num_before
    state = remembered(*frames, seen(5.0, 0.9, ELSEWHERE), seen())
    assert (num_before + 1 in state.memories) == is_good


def test_a_moving_box_is_followed() -> None:
    boxes = [(position, 10, position + 10, 20) for position in range(1, 21)]
    state = remembered(*(seen(5.0, 0.9, box) for box in boxes))
    assert state.memories == (15, 16, 17, 18, 19, 20)


@pytest.mark.parametrize("unreliable", [absent(), seen(5.0, 0.3)])
def test_an_unreliable_frame_restarts_the_motion(unreliable: Observation) -> None:
    """The next box is where the motion begins, wherever it is."""
    frames = [seen()] * 15
    state = remembered(*frames, unreliable, seen(5.0, 0.9, ELSEWHERE), seen(5.0, 0.9, ELSEWHERE))
    assert {17, 18} <= set(state.memories)
    assert 16 not in state.memories


def test_an_object_without_a_mask_is_bad_where_it_moves() -> None:
    assert 16 not in remembered(*[seen()] * 15, seen(5.0, 0.9, None), seen()).memories
