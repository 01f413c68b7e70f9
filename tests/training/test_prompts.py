"""Prompts of training: what they point at, and how often each kind comes."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pvtt_flow.training.segmenter.prompts import (
    CORRECTION,
    KINDS,
    SECOND_FRAME,
    PromptPlan,
    corrections,
    draw_plan,
    jitter_box,
    joined,
    points_of,
)

SEEDS = st.integers(0, 2**32)


def rectangle(x0: int, y0: int, x1: int, y1: int) -> NDArray[np.bool_]:
    mask = np.zeros((128, 128), bool)
    mask[y0:y1, x0:x1] = True
    return mask


@given(SEEDS, st.integers(1, 16))
def test_a_plan_names_frames_of_the_clip(seed: int, num_frames: int) -> None:
    plan = draw_plan(np.random.default_rng(seed), num_frames)
    assert plan.frames[0] == 0
    assert len(set(plan.frames)) == len(plan.frames) <= 2
    assert set(plan.frames) | {plan.corrected or 0} <= set(range(num_frames))
    assert 1 <= plan.num_positive <= plan.num_positive + plan.num_negative <= 3
    if plan.kind == "mask":
        assert plan.corrected not in plan.frames
        # There is a frame to learn from.
        assert len(plan.frames) < num_frames


def test_kinds_second_frames_and_corrections_are_as_often_as_said() -> None:
    rng = np.random.default_rng(0)
    plans = [draw_plan(rng, 8) for _ in range(4000)]
    kinds = Counter(plan.kind for plan in plans)
    for kind, share in KINDS.items():
        assert kinds[kind] / 4000 == pytest.approx(share, abs=0.03)
    assert np.mean([len(plan.frames) == 2 for plan in plans]) == pytest.approx(
        SECOND_FRAME, abs=0.03
    )
    corrected = np.mean([plan.corrected is not None for plan in plans])
    assert corrected == pytest.approx(CORRECTION, abs=0.03)


def test_jittered_boxes_stay_near_the_mask() -> None:
    mask = rectangle(50, 40, 110, 80)
    for seed in range(50):
        box = jitter_box(np.random.default_rng(seed), mask)
        assert (np.abs(box - [50, 40, 110, 80]) <= [12, 8, 12, 8]).all()


def test_a_box_is_two_points_with_labels_of_their_own() -> None:
    masks = np.stack([rectangle(50, 40, 110, 80), rectangle(4, 4, 20, 30)])
    points = points_of(np.random.default_rng(0), PromptPlan("box"), masks)
    assert points is not None
    assert points["point_coords"].shape == (2, 2, 2)
    assert points["point_labels"].tolist() == [[2, 3], [2, 3]]
    assert points["point_coords"][0].numpy() == pytest.approx(
        np.array([[50, 40], [110, 80]]), abs=12
    )


def test_masks_have_no_points() -> None:
    plan = PromptPlan("mask")
    assert points_of(np.random.default_rng(0), plan, rectangle(4, 4, 20, 30)[None]) is None


@given(SEEDS, st.integers(1, 3), st.integers(0, 2))
def test_positive_points_are_inside_and_negative_ones_near(
    seed: int, num_positive: int, num_negative: int
) -> None:
    mask = rectangle(40, 40, 80, 60)
    plan = PromptPlan("points", num_positive=num_positive, num_negative=num_negative)
    points = points_of(np.random.default_rng(seed), plan, mask[None])
    assert points is not None
    near = rectangle(30, 35, 90, 65)
    labels = points["point_labels"][0]
    for (x, y), label in zip(
        points["point_coords"][0].int(), points["point_labels"][0], strict=True
    ):
        assert mask[y, x] == bool(label)
        assert near[y, x]
    assert labels.sum() == num_positive


def test_a_mask_that_fills_the_frame_has_no_negative_points() -> None:
    plan = PromptPlan("points", num_positive=1, num_negative=2)
    points = points_of(np.random.default_rng(0), plan, np.ones((1, 128, 128), bool))
    assert points is not None
    assert points["point_labels"].tolist() == [[1, -1, -1]]


@given(SEEDS)
def test_a_click_is_where_the_model_is_wrong(seed: int) -> None:
    truth = np.stack([rectangle(40, 40, 80, 60), np.zeros((128, 128), bool), rectangle(0, 0, 9, 9)])
    predicted = np.stack([rectangle(40, 40, 60, 60), rectangle(5, 5, 9, 9), rectangle(0, 0, 9, 9)])
    click = corrections(np.random.default_rng(seed), predicted, truth)
    missing, extra, right = click["point_coords"][:, 0].int().tolist()
    assert rectangle(60, 40, 80, 60)[missing[1], missing[0]]
    assert rectangle(5, 5, 9, 9)[extra[1], extra[0]]
    inside = int(truth[2][right[1], right[0]])
    assert click["point_labels"][:, 0].tolist() == [1, 0, inside]


def test_a_click_comes_after_the_points_that_were_there() -> None:
    masks = rectangle(40, 40, 80, 60)[None]
    rng = np.random.default_rng(0)
    box = points_of(rng, PromptPlan("box"), masks)
    assert box is not None
    both = joined(box, corrections(rng, np.zeros_like(masks), masks))
    assert both["point_labels"].tolist() == [[2, 3, 1]]
    assert both["point_coords"].shape == (1, 3, 2)
