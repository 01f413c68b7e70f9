import math
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pvtt_flow.core.qc import QcThresholds, judge, measure
from pvtt_flow.types import MaskConfidence, MaskletFrame, Measurements, Prompt

WIDTH_PX, HEIGHT_PX = 100, 80


def frame(index: int, box: tuple[int, ...] | None, **changes: Any) -> MaskletFrame:
    area = 0 if box is None else (box[2] - box[0]) * (box[3] - box[1])
    usual = MaskletFrame(
        frame_index=index,
        pts_ns=index * 40_000_000,
        rle=None if box is None else "x",
        box_xyxy=box,
        area_px=area,
        object_score=5.0 if box else -5.0,
        predicted_iou=0.9,
        fragments=1 if box else 0,
        flags=() if box else ("absent",),
    )
    return replace(usual, **changes)


def measured(*frames: MaskletFrame, prompts: tuple[Prompt, ...] = ()) -> Measurements:
    return measure(frames, prompts, width_px=WIDTH_PX, height_px=HEIGHT_PX)


STEADY = [frame(i, (20 + i, 20, 40 + i, 40)) for i in range(10)]
BOX = Prompt(object_id=0, frame_index=0, box_xyxy=(20.0, 20.0, 40.0, 40.0))


def test_a_steady_masklet_is_accepted_for_no_reason() -> None:
    assert judge(measured(*STEADY, prompts=(BOX,)), QcThresholds()) == ("accept", ())


def test_measurements_of_a_steady_masklet() -> None:
    m = measured(*STEADY, prompts=(BOX,))
    assert m.presence == 1
    assert m.area_median == pytest.approx(400 / 8000)
    assert m.area_jump_max == 0
    assert m.box_jump_max == pytest.approx(1 / math.hypot(20, 20))
    assert m.prompt_iou == pytest.approx(1)
    assert m.predicted_iou_p05 == pytest.approx(0.9)


def test_means_are_of_the_frames_that_have_a_value() -> None:
    m = measured(
        frame(0, (0, 0, 9, 9), compactness=0.5, confidence=MaskConfidence(stability_score=0.5)),
        frame(1, None, previous_iou=None, confidence=MaskConfidence(stability_score=0.1)),
        frame(2, (0, 0, 9, 9), compactness=0.7, holes=3),
        frame(3, (0, 0, 9, 9), previous_iou=0.4, confidence=MaskConfidence(soft_dice=0.25)),
    )
    assert m.holes_mean == 1
    assert m.compactness_mean == pytest.approx(0.6)
    assert (m.previous_iou_mean, m.previous_iou_p05) == (0.4, 0.4)
    assert (m.stability_score_mean, m.soft_dice_mean) == (0.5, 0.25)
    assert (m.mask_entropy_mean, m.candidate_iou_mean) == (None, None)
    assert measured(frame(0, None)).holes_mean is None


def test_jumps_are_between_neighbours_only() -> None:
    m = measured(frame(0, (0, 0, 10, 10)), frame(1, None), frame(2, (50, 50, 90, 90)))
    assert m.area_jump_max is None
    assert m.box_jump_max is None
    assert m.visibility_flips == 2
    assert m.presence == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("frames", "verdict", "reason"),
    [
        ([*(frame(i, None) for i in range(9)), STEADY[9]], "reject", "presence_low"),
        ([*STEADY[:8], frame(8, None), frame(9, None)], "review", "presence_low"),
        (
            [frame(i, STEADY[i].box_xyxy if i % 2 else None) for i in range(10)],
            "review",
            "flickers",
        ),
        ([*STEADY[:9], frame(9, (5, 5, 75, 75))], "review", "area_jump"),
        ([*STEADY[:9], frame(9, (70, 50, 90, 70))], "review", "box_jump"),
        ([replace(f, object_score=-1.0) for f in STEADY], "review", "object_score_low"),
        ([replace(f, predicted_iou=0.5) for f in STEADY], "review", "predicted_iou_low"),
        ([replace(f, predicted_iou=0.1) for f in STEADY], "reject", "predicted_iou_low"),
        ([replace(f, flags=("border",)) for f in STEADY], "review", "border_contact"),
        ([replace(f, fragments=5) for f in STEADY], "review", "fragmented"),
        ([frame(i, (1, 1, 3, 3)) for i in range(10)], "review", "area_small"),
        ([frame(i, (1, 1, 99, 79)) for i in range(10)], "review", "area_large"),
    ],
)
def test_each_rule_fires_on_its_fault(
    frames: list[MaskletFrame], verdict: str, reason: str
) -> None:
    found, reasons = judge(measured(*frames), QcThresholds())
    assert found == verdict
    assert reason in reasons


def test_a_mask_elsewhere_than_the_prompt_is_rejected() -> None:
    away = Prompt(object_id=0, frame_index=0, box_xyxy=(60.0, 50.0, 90.0, 79.0))
    assert judge(measured(*STEADY, prompts=(away,)), QcThresholds()) == (
        "reject",
        ("prompt_mismatch",),
    )


def test_thresholds_change_the_verdict_without_new_measurements() -> None:
    m = measured(*[replace(f, predicted_iou=0.5) for f in STEADY])
    assert judge(m, QcThresholds(predicted_iou_review=0.4))[0] == "accept"


def test_no_frames_is_rejected_not_an_error() -> None:
    assert judge(measured(), QcThresholds())[0] == "reject"


@given(st.lists(st.booleans(), min_size=1, max_size=40))
def test_presence_and_flips_count_what_they_say(pattern: list[bool]) -> None:
    m = measured(*[frame(i, (1, 1, 9, 9) if on else None) for i, on in enumerate(pattern)])
    assert m.presence == pytest.approx(sum(pattern) / len(pattern))
    assert m.visibility_flips == sum(a != b for a, b in pairwise(pattern))
