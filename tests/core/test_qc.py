import math
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pvtt_flow.core.qc import Judged, QcThresholds, judge, measure
from pvtt_flow.types import Appearance, MaskConfidence, MaskletFrame, Measurements, Prompt

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
        compactness=0.75 if box else None,
        previous_iou=0.9 if box and index else None,
        flags=() if box else ("absent",),
    )
    return replace(usual, **changes)


def measured(*frames: MaskletFrame, prompts: tuple[Prompt, ...] = ()) -> Measurements:
    return measure(frames, prompts, width_px=WIDTH_PX, height_px=HEIGHT_PX)


STEADY = [frame(i, (20 + i, 20, 40 + i, 40)) for i in range(10)]
BOX = Prompt(object_id=0, frame_index=0, box_xyxy=(20.0, 20.0, 40.0, 40.0))


def test_a_steady_masklet_is_accepted_for_no_reason() -> None:
    judged = judge(measured(*STEADY, prompts=(BOX,)), QcThresholds())
    assert (judged.verdict, judged.reasons) == ("accept", ())
    assert judged.good_probability is not None
    assert judged.gone_probability is not None
    assert judged.good_probability > 0.9
    assert judged.gone_probability < 0.1


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
        frame(2, (0, 0, 9, 9), compactness=0.7, holes=3, previous_iou=None),
        frame(
            3,
            (0, 0, 9, 9),
            previous_iou=0.4,
            compactness=None,
            confidence=MaskConfidence(soft_dice=0.25),
        ),
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


# Never accepted, so that the reasons show.
STRICT = QcThresholds(accept_probability=1.0)


@pytest.mark.parametrize(
    ("frames", "reason"),
    [
        ([frame(i, STEADY[i].box_xyxy if i % 2 else None) for i in range(10)], "flickers"),
        ([*STEADY[:9], frame(9, (5, 5, 75, 75))], "area_jump"),
        ([*STEADY[:9], frame(9, (70, 50, 90, 70))], "box_jump"),
        ([replace(f, object_score=-1.0) for f in STEADY], "object_score_low"),
        ([replace(f, predicted_iou=0.5) for f in STEADY], "predicted_iou_low"),
        ([replace(f, fragments=5) for f in STEADY], "fragmented"),
        ([frame(i, (1, 1, 3, 3)) for i in range(10)], "area_small"),
        ([frame(i, (1, 1, 99, 79)) for i in range(10)], "area_large"),
    ],
)
def test_each_rule_fires_on_its_fault(frames: list[MaskletFrame], reason: str) -> None:
    assert reason in judge(measured(*frames), STRICT).reasons
    assert reason not in judge(measured(*STEADY), STRICT).reasons


def test_a_mask_elsewhere_than_the_prompt_is_not_accepted() -> None:
    away = Prompt(object_id=0, frame_index=0, box_xyxy=(60.0, 50.0, 90.0, 79.0))
    m = measured(*STEADY, prompts=(away,))
    judged = judge(m, QcThresholds())
    assert judged.verdict != "accept"
    assert judged.reasons == ("prompt_mismatch",)
    assert m.prompt_iou == 0
    # No clip that the models were fitted to has such a mask.
    assert "prompt_mismatch" in QcThresholds().always_review


def test_an_ambiguous_target_is_not_accepted() -> None:
    """The second best product was nearly as good: the mask may be of another one than is meant."""

    def judged(*margins: float | None) -> Judged:
        prompts = tuple(replace(BOX, margin=margin) for margin in margins)
        return judge(measured(*STEADY, prompts=prompts), QcThresholds())

    assert judged(0.05).reasons == ("ambiguous_target",)
    assert judged(0.05).verdict == "review"
    assert judged(0.9, 0.05).verdict == "review"
    assert judged(0.1).verdict == "accept"
    assert judged(None).verdict == "accept"  # of a manifest


def test_the_appearance_is_measured_where_it_is_known() -> None:
    looks = [Appearance(color_distance=0.1 * n, contour_contrast=10.0 * n) for n in range(3)]
    m = measured(*(replace(f, appearance=look) for f, look in zip(STEADY, looks, strict=False)))
    assert m.color_distance_mean == pytest.approx(0.1)
    assert m.color_distance_p95 == pytest.approx(0.19)
    assert m.contour_contrast_mean == pytest.approx(10.0)
    assert m.flow_iou_mean is None
    assert measured(*STEADY).color_distance_mean is None


def test_the_detector_may_disagree() -> None:
    def judged(*ious: float | None) -> Judged:
        frames = [replace(f, detector_iou=iou) for f, iou in zip(STEADY, ious, strict=False)]
        return judge(measured(*frames, *STEADY[len(ious) :], prompts=(BOX,)), STRICT)

    assert judged(0.9, None, 0.0, 0.0).reasons == ("doubtful",)
    assert judged(0.8, None, 0.0, 0.0).reasons == ("detector_disagrees",)


def test_the_picture_may_be_about_something_else() -> None:
    def judged(*ious: float | None) -> Judged:
        frames = [replace(f, salient_iou=iou) for f, iou in zip(STEADY, ious, strict=False)]
        return judge(measured(*frames, *STEADY[len(ious) :], prompts=(BOX,)), STRICT)

    assert judged(0.9, None, 0.0, 0.0).reasons == ("doubtful",)
    assert judged(0.8, None, 0.0, 0.0).reasons == ("not_salient",)


def test_a_masklet_that_no_rule_explains_is_doubtful() -> None:
    assert judge(measured(*STEADY, prompts=(BOX,)), STRICT).reasons == ("doubtful",)


def test_the_verdict_is_by_the_probability() -> None:
    m = measured(*STEADY, prompts=(BOX,))
    good = judge(m, QcThresholds()).good_probability
    assert good is not None
    for accept, reject, verdict in (
        (good, 0.0, "accept"),
        (good + 1e-6, good, "review"),
        (1.0, good + 1e-6, "reject"),
    ):
        thresholds = QcThresholds(accept_probability=accept, reject_probability=reject)
        assert judge(m, thresholds).verdict == verdict


def test_some_reasons_always_need_a_person() -> None:
    m = measured(*STEADY, prompts=(BOX,))
    wary = QcThresholds(area_max=0.01)
    assert judge(m, wary).verdict == "accept"
    judged = judge(m, QcThresholds(area_max=0.01, always_review=("area_large",)))
    assert (judged.verdict, judged.reasons) == ("review", ("area_large",))
    gone = judge(m, QcThresholds(gone_probability=0.0))
    assert (gone.verdict, gone.reasons) == ("review", ("gone_but_shown",))


@pytest.mark.parametrize("frames", [[], [frame(i, None) for i in range(3)]])
def test_a_masklet_without_a_mask_is_rejected(frames: list[MaskletFrame]) -> None:
    judged = judge(measured(*frames), QcThresholds())
    assert (judged.verdict, judged.reasons) == ("reject", ("no_mask",))
    assert (judged.good_probability, judged.gone_probability) == (None, None)


def test_an_object_that_leaves_is_no_fault() -> None:
    """Absence is measured, and only what a mask shows is judged."""
    leaves = [*STEADY[:5], *(frame(i, None) for i in range(5, 10))]
    assert judge(measured(*leaves, prompts=(BOX,)), QcThresholds()).verdict == "accept"


@given(st.lists(st.booleans(), min_size=1, max_size=40))
def test_presence_and_flips_count_what_they_say(pattern: list[bool]) -> None:
    m = measured(*[frame(i, (1, 1, 9, 9) if on else None) for i, on in enumerate(pattern)])
    assert m.presence == pytest.approx(sum(pattern) / len(pattern))
    assert m.visibility_flips == sum(a != b for a, b in pairwise(pattern))
