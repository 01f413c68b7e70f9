"""Frames that each policy keeps, by chosen scores, and bounds that all of them keep."""

from collections.abc import Sequence
from math import exp

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pvtt_flow.models.sam2.memory_policies import POLICIES
from pvtt_flow.models.sam2.memory_policy import MemoryPolicy, Sam2Policy, ScoreGatedPolicy
from pvtt_flow.models.sam2.observation import UNSEEN, Observation
from tests.models.sam2.seen import (
    NUM_MEMORIES,
    NUM_POINTERS,
    SQUARE,
    absent,
    after,
    drive,
    seen,
)

GOOD, BAD = seen(), absent()


def make(name: str) -> MemoryPolicy:
    return {str(k): v for k, v in POLICIES.items()}[name](NUM_MEMORIES, NUM_POINTERS)


def test_sam2_keeps_the_latest_frames() -> None:
    states = drive(make("sam2"), [(position, UNSEEN) for position in range(1, 21)])
    assert states[2].memories == states[2].pointers == (1, 2, 3)
    assert states[-1].memories == (15, 16, 17, 18, 19, 20)
    assert states[-1].pointers == tuple(range(6, 21))
    assert states[-1].anchors == ()


def test_a_backward_pass_keeps_the_lowest_positions() -> None:
    states = drive(make("sam2"), [(position, UNSEEN) for position in range(20, 0, -1)])
    assert states[-1].memories == (6, 5, 4, 3, 2, 1)


@pytest.mark.parametrize(
    ("bad", "memories"),
    [
        (set(), (5, 6, 7, 8, 9, 10)),
        ({4, 7, 8}, (2, 3, 5, 6, 9, 10)),
        ({8, 9, 10}, (3, 4, 5, 6, 7, 10)),
        (set(range(1, 11)), (10,)),
        ({2, 3, 4, 5, 6, 7, 8, 9, 10}, (1, 10)),
    ],
)
@pytest.mark.parametrize("name", ["score_gated", "samurai"])
def test_good_frames_and_the_latest_one(
    name: str, bad: set[int], memories: tuple[int, ...]
) -> None:
    frames = [BAD if position in bad else GOOD for position in range(1, 11)]
    assert after(make(name), frames).memories == memories


def test_score_gated_keeps_the_pointers_of_good_frames() -> None:
    state = after(make("score_gated"), [GOOD, BAD, BAD, GOOD, BAD])
    assert state.pointers == state.memories == (1, 4, 5)


@pytest.mark.parametrize(
    ("object_score", "predicted_iou", "is_good"),
    [(5.0, 0.9, True), (0.0, 0.9, False), (-1.0, 0.9, False), (5.0, 0.0, False),
     # Presence is 0.0125 at a score of 0.025.
     (0.025, 0.81, True), (0.025, 0.79, False)],
)  # fmt: skip
def test_score_gated_multiplies_presence_and_iou(
    object_score: float, predicted_iou: float, *, is_good: bool
) -> None:
    state = after(make("score_gated"), [Observation(object_score, predicted_iou), GOOD])
    assert (1 in state.memories) == is_good


SCORES = st.tuples(st.floats(-1, 1), st.floats(0, 1))


def found_by_search(scores: Sequence[tuple[float, float]]) -> list[int]:
    """Search backward for good frames, as SAM 3 does before each frame; oldest first."""
    valid: list[int] = []
    for position in range(len(scores), 0, -1):
        score, iou = scores[position - 1]
        presence = 2 / (1 + exp(-score)) - 1 if score > 0 else 0.0
        if presence * iou > 0.01:
            valid.insert(0, position)
    return valid if len(scores) in valid else [*valid, len(scores)]


@settings(max_examples=200, derandomize=True)
@given(scores=st.lists(SCORES, min_size=1, max_size=40))
def test_score_gated_equals_a_search_through_all_frames(
    scores: Sequence[tuple[float, float]],
) -> None:
    state = after(ScoreGatedPolicy(NUM_MEMORIES, NUM_POINTERS), [Observation(*s) for s in scores])
    valid = found_by_search(scores)
    assert state.memories == tuple(valid[-NUM_MEMORIES:])
    assert state.pointers == tuple(valid[-NUM_POINTERS:])


BOXES = st.sampled_from([SQUARE, (0, 0, 4, 30), (12, 12, 22, 22), None])
SEEN = st.builds(
    seen, st.floats(-2, 2), st.floats(0, 1), BOXES, st.sampled_from([SQUARE, (30, 30, 39, 39)])
)


@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.parametrize("num_memories", [1, 6])
@settings(max_examples=30, derandomize=True)
@given(observations=st.lists(SEEN, max_size=60))
def test_what_is_kept_is_bounded_and_was_kept_before(
    name: str, num_memories: int, observations: Sequence[Observation]
) -> None:
    policy = {str(k): v for k, v in POLICIES.items()}[name](num_memories, NUM_POINTERS)
    past = policy.start
    for position, observation in enumerate(observations):
        new = policy.remember(past, position, observation)
        assert len(new.memories) == len(set(new.memories)) <= num_memories
        assert len(new.pointers) == len(set(new.pointers)) <= NUM_POINTERS + policy.max_anchors
        assert set(new.memories) <= {*past.memories, position}
        assert set(new.pointers) <= {*past.pointers, position}
        assert set(new.anchors) <= {*new.memories} & {*new.pointers}
        past = new


def test_the_default_reads_nothing() -> None:
    assert [policy for policy in POLICIES.values() if not policy.reads] == [Sam2Policy]
