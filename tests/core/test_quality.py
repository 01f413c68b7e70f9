"""Calibrated probabilities of masks, by the models that ship."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pvtt_flow.core import quality
from pvtt_flow.core.qc import measure
from pvtt_flow.models.checkpoints import known
from pvtt_flow.types import Appearance, MaskConfidence, Masklet, MaskletFrame
from tests.dataset.dataset_rows import masklet

FITTED = known()["embedded_tracker"].sha256
SCORES = {"predicted_iou", "predicted_iou_low", "candidate_iou", "object_score"}


def frame(index: int, **changes: Any) -> MaskletFrame:
    usual = MaskletFrame(
        frame_index=index,
        pts_ns=index,
        rle="x",
        box_xyxy=(10, 10, 30, 30),
        area_px=300,
        object_score=8.0,
        predicted_iou=0.95,
        fragments=1,
        compactness=0.8,
        previous_iou=0.95 if index else None,
        confidence=MaskConfidence(candidate_iou=0.95),
        appearance=Appearance(color_distance=0.1, contour_contrast=40.0),
        flags=() if index else ("prompted",),
    )
    return replace(usual, **changes)


def tracked(frames: Sequence[MaskletFrame], tracker_hash: str = "") -> Masklet:
    prompt = replace(masklet("a").prompts[0], box_xyxy=(10.0, 10.0, 30.0, 30.0))
    made = masklet("a", frames=tuple(frames), prompts=(prompt,), tracker_hash=tracker_hash)
    qc = measure(made.frames, made.prompts, width_px=made.width_px, height_px=made.height_px)
    return replace(made, qc=qc)


GOOD = [frame(i) for i in range(6)]
_TORN: dict[str, Any] = {"compactness": 0.1, "fragments": 6, "holes": 9, "previous_iou": 0.3}
_ELSEWHERE = Appearance(color_distance=0.8, contour_contrast=8.0)
_UNSURE_TOO = {"predicted_iou": 0.4, "confidence": MaskConfidence(candidate_iou=0.5)}
TORN = [frame(i, **_TORN, **_UNSURE_TOO, appearance=_ELSEWHERE) for i in range(6)]
UNSURE: dict[str, Any] = {"predicted_iou": 0.3, "confidence": MaskConfidence(candidate_iou=0.2)}
FAINT = [replace(each, **UNSURE) for each in GOOD]


def good(frames: Sequence[MaskletFrame], tracker_hash: str) -> float:
    made = tracked(frames, tracker_hash)
    assert made.qc is not None
    return quality.of_masklet(made.qc, tracker_hash).good


def good_frames(frames: Sequence[MaskletFrame], tracker_hash: str) -> list[float]:
    return [p.good for p in quality.of_frames(tracked(frames, tracker_hash)) if p is not None]


def test_the_models_are_those_of_the_weights_that_ship() -> None:
    """Fitted again after new weights: `python -m pvtt_flow.training quality`."""
    tree = json.loads(Path(quality.__file__).with_name(quality.FILE).read_text())
    assert tree["tracker_hash"] == FITTED
    assert tree["clips"] >= 400
    for question, models in tree["questions"].items():
        assert not SCORES & models["looks"]["terms"].keys(), question
        assert SCORES & models["scores"]["terms"].keys(), question


@pytest.mark.parametrize("tracker_hash", [FITTED, "another"])
def test_a_torn_mask_is_worse_than_a_steady_one(tracker_hash: str) -> None:
    assert good(TORN, tracker_hash) < 0.2
    assert good(GOOD, tracker_hash) > 0.9
    assert max(good_frames(TORN, tracker_hash)) < min(good_frames(GOOD, tracker_hash))


def test_scores_count_for_the_tracker_that_they_were_fitted_to_and_no_other() -> None:
    assert good(FAINT, FITTED) < good(GOOD, FITTED) - 0.1
    assert good(FAINT, "another") == good(GOOD, "another")
    assert max(good_frames(FAINT, FITTED)) < min(good_frames(GOOD, FITTED))
    assert good_frames(FAINT, "another") == good_frames(GOOD, "another")


def test_without_scores_the_fitted_tracker_is_like_any_other() -> None:
    """A baseline's rows name the same weights."""
    nothing: dict[str, Any] = {"predicted_iou": None, "object_score": None, "confidence": None}
    bare = [replace(each, **nothing) for each in GOOD]
    assert good(bare, FITTED) == good(bare, "another")
    assert good_frames(bare, FITTED) == good_frames(bare, "another")


def test_a_mask_that_shrinks_and_jumps_may_be_of_a_gone_object() -> None:
    changes: dict[str, Any] = {"area_px": 12, "previous_iou": 0.0, "object_score": -2.0}
    left = [replace(each, **changes, appearance=_ELSEWHERE) for each in GOOD[3:]]
    found = quality.of_frames(tracked([*GOOD[:3], *left], FITTED))
    gone = [p.gone for p in found if p is not None]
    assert max(gone[:3]) < 0.1
    assert min(gone[3:]) > 0.5


@pytest.mark.parametrize("tracker_hash", [FITTED, "another"])
def test_other_colors_are_those_of_another_object(tracker_hash: str) -> None:
    def looking(color_distance: float) -> Masklet:
        look = Appearance(color_distance=color_distance, contour_contrast=25.0)
        return tracked([replace(each, appearance=look) for each in GOOD], tracker_hash)

    same, other = looking(0.1), looking(0.9)
    assert same.qc is not None
    assert other.qc is not None
    of_same, of_other = (quality.of_masklet(qc, tracker_hash) for qc in (same.qc, other.qc))
    assert of_other.gone > 2 * of_same.gone
    assert of_other.good < of_same.good


def test_rows_without_an_appearance_are_told_apart_by_shape() -> None:
    good_rows, torn_rows = ([replace(f, appearance=None) for f in each] for each in (GOOD, TORN))
    assert good(good_rows, "another") > 0.9
    assert good(torn_rows, "another") < 0.5


def test_frames_without_a_mask_have_no_probability() -> None:
    absent = frame(1, rle=None, box_xyxy=None, area_px=0, compactness=None, flags=("absent",))
    found = quality.of_frames(tracked([GOOD[0], absent, GOOD[2]]))
    assert [p is None for p in found] == [False, True, False]


def test_rows_of_older_versions_have_probabilities_too() -> None:
    older = [
        replace(each, compactness=None, previous_iou=None, confidence=None, holes=0)
        for each in GOOD
    ]
    assert 0 < good(older, "another") < 1
    assert len(good_frames(older, "another")) == len(older)
