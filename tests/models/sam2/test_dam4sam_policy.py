"""DAM4SAM's two memories."""

import pytest

from pvtt_flow.models.sam2.dam4sam_policy import Dam4SamPolicy
from pvtt_flow.models.sam2.memory_policy import Remembered
from pvtt_flow.models.sam2.observation import Observation
from tests.models.sam2.seen import NUM_MEMORIES, NUM_POINTERS, SQUARE, absent, after, drive, seen

FAR = (28, 28, 38, 38)
# The box of both is 4 pixels wider than the object's: an IoU of 10 / 14.
NEAR = (16, 10, 24, 20)
DISTRACTED = seen(5.0, 0.9, SQUARE, FAR)


def remembered(*observations: Observation) -> Remembered:
    return after(Dam4SamPolicy(NUM_MEMORIES, NUM_POINTERS), observations)


def test_the_latest_and_each_fifth_frame() -> None:
    assert remembered(*[seen()] * 4).memories == (4,)
    assert remembered(*[seen()] * 5).memories == (5,)
    assert remembered(*[seen()] * 12).memories == (5, 10, 12)
    assert remembered(*[seen()] * 40).memories == (15, 20, 25, 30, 35, 40)
    assert remembered(*[seen()] * 41).memories == (20, 25, 30, 35, 40, 41)


def test_a_backward_pass() -> None:
    policy = Dam4SamPolicy(NUM_MEMORIES, NUM_POINTERS)
    states = drive(policy, [(position, seen()) for position in range(41, 2, -1)])
    assert states[-1].memories == (25, 20, 15, 10, 5, 3)


def test_frames_without_the_object_are_not_remembered() -> None:
    frames = [seen()] * 9 + [absent()] * 4
    state = remembered(*frames)
    assert state.memories == (5, 9)
    assert state.pointers == tuple(range(1, 10))
    # The tenth frame is none of the fifth ones.
    assert remembered(*frames, seen()).memories == (5, 14)


def test_a_distractor_makes_an_anchor_once_the_frame_is_not_the_latest() -> None:
    frames = [seen()] * 7 + [DISTRACTED]
    assert remembered(*frames).anchors == ()
    assert remembered(*frames, seen()).anchors == (8,)
    state = remembered(*frames, *[seen()] * 40)
    assert state.anchors == (8,)
    assert state.memories == (8, 30, 35, 40, 45, 48)
    assert state.pointers == (8, *range(34, 49))


@pytest.mark.parametrize(
    "other",
    [
        seen(5.0, 0.8, SQUARE, FAR),
        seen(5.0, 0.9, SQUARE, NEAR),
        seen(5.0, 0.9, SQUARE, SQUARE),
        seen(5.0, 0.9, SQUARE),
        seen(5.0, 0.9, (10, 10, 20, 23), FAR),
        seen(5.0, 0.9, (10, 10, 20, 17), FAR),
    ],
    ids=["unsure", "near", "the same", "no other", "larger", "smaller"],
)
def test_what_makes_no_anchor(other: Observation) -> None:
    assert remembered(*[seen()] * 7, other, seen()).anchors == ()


def test_only_the_largest_component_counts() -> None:
    """A speck far away does not make a distractor of a candidate that is otherwise the same."""
    speck = seen(5.0, 0.9, SQUARE, NEAR)
    speck.masks[1, 38, 38] = True
    assert remembered(*[seen()] * 7, speck, seen()).anchors == ()


def test_anchors_are_more_than_five_frames_apart() -> None:
    assert remembered(*[DISTRACTED] * 9).anchors == (2, 8)
    assert remembered(*[DISTRACTED] * 21).anchors == (8, 14, 20)


def test_three_anchors_and_two_fifths_beside_the_latest() -> None:
    state = remembered(*[DISTRACTED] * 33)
    assert state.anchors == (20, 26, 32)
    assert state.memories == (20, 26, 32, 25, 30, 33)
    assert state.pointers == tuple(range(19, 34))
