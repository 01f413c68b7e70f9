"""Quality control of a masklet without ground truth: measurements, and a verdict on them.

`measure` needs only the tracked frames and `judge` needs only the measurements, so thresholds can
be changed on a stored dataset without a GPU. The default thresholds are cautious starting points;
they are not calibrated.
"""

import itertools
from collections.abc import Iterable, Sequence
from typing import Annotated

import numpy as np
from pydantic import Field

from pvtt_flow.core import boxes
from pvtt_flow.params import Params
from pvtt_flow.types import MaskletFrame, Measurements, Prompt, VerdictName

Fraction01 = Annotated[float, Field(ge=0, le=1)]


class QcThresholds(Params):
    """Thresholds of the verdict: `..._review` sends a masklet to review, `..._reject` rejects
    it."""

    presence_review: Fraction01 = 0.9
    """Review below this fraction of the shot's processed frames with a mask."""
    presence_reject: Fraction01 = 0.2
    """Reject below this fraction of the shot's processed frames with a mask."""
    visibility_flips_review: Annotated[int, Field(ge=0)] = 4
    """Review above this number of changes between visible and invisible from frame to frame."""
    area_min_review: Fraction01 = 0.001
    """Review below this median mask area, as a fraction of the picture."""
    area_max_review: Fraction01 = 0.8
    """Review above this median mask area, as a fraction of the picture."""
    area_jump_review: Annotated[float, Field(gt=0)] = 0.7
    """Review above this largest |ln(area[t+1] / area[t])|; 0.69 is a mask that doubles or halves in
    one frame."""
    box_jump_review: Annotated[float, Field(gt=0)] = 0.5
    """Review above this largest move of the box's center between two frames, in box diagonals."""
    object_score_review: float = 0.0
    """Review below this 5th percentile of SAM 2's object score, a logit: above 0 the object is
    visible."""
    predicted_iou_review: Fraction01 = 0.6
    """Review below this mean of the IoU that SAM 2 predicts for its masks."""
    predicted_iou_reject: Fraction01 = 0.3
    """Reject below this mean of the IoU that SAM 2 predicts for its masks."""
    border_contact_review: Fraction01 = 0.5
    """Review above this fraction of masks that touch the picture's border."""
    fragments_review: Annotated[float, Field(ge=1)] = 3.0
    """Review above this mean number of connected parts of a mask."""
    prompt_iou_review: Fraction01 = 0.5
    """Review below this IoU of the prompt box and the mask's box on the prompted frame."""
    prompt_iou_reject: Fraction01 = 0.2
    """Reject below this IoU of the prompt box and the mask's box on the prompted frame."""


def measure(
    frames: Sequence[MaskletFrame], prompts: Sequence[Prompt], *, width_px: int, height_px: int
) -> Measurements:
    """Measure one object over the processed frames of its shot."""
    present = [f for f in frames if f.box_xyxy is not None]
    visible = np.array([f.box_xyxy is not None for f in frames], bool)
    area = np.array([f.area_px for f in present], np.float64)
    iou = _known(f.predicted_iou for f in present)
    previous_iou = _known(f.previous_iou for f in present)
    confidences = [f.confidence for f in present if f.confidence is not None]
    border = [f for f in present if "border" in f.flags]
    return Measurements(
        num_frames=len(frames),
        presence=float(visible.mean()) if len(frames) else 0.0,
        visibility_flips=int(np.count_nonzero(visible[1:] != visible[:-1])),
        area_median=float(np.median(area)) / (width_px * height_px) if present else None,
        area_jump_max=_max_area_jump(frames),
        box_jump_max=_max_box_jump(frames),
        object_score_p05=_percentile(_known(f.object_score for f in present), 5),
        predicted_iou_mean=_mean(iou),
        predicted_iou_p05=_percentile(iou, 5),
        border_contact=len(border) / len(present) if present else 0.0,
        fragments_mean=_mean([f.fragments for f in present]),
        prompt_iou=_prompt_iou(frames, prompts),
        holes_mean=_mean([f.holes for f in present]),
        compactness_mean=_mean(_known(f.compactness for f in present)),
        previous_iou_mean=_mean(previous_iou),
        previous_iou_p05=_percentile(previous_iou, 5),
        mask_entropy_mean=_mean(_known(c.mask_entropy for c in confidences)),
        stability_score_mean=_mean(_known(c.stability_score for c in confidences)),
        soft_dice_mean=_mean(_known(c.soft_dice for c in confidences)),
        candidate_iou_mean=_mean(_known(c.candidate_iou for c in confidences)),
    )


def judge(m: Measurements, thresholds: QcThresholds) -> tuple[VerdictName, tuple[str, ...]]:
    """Return the verdict and the names of the rules that fired, rejecting rules first."""
    t = thresholds
    reject = _fired(
        presence_low=_below(m.presence, t.presence_reject),
        predicted_iou_low=_below(m.predicted_iou_mean, t.predicted_iou_reject),
        prompt_mismatch=_below(m.prompt_iou, t.prompt_iou_reject),
    )
    review = _fired(
        presence_low=_below(m.presence, t.presence_review),
        flickers=m.visibility_flips > t.visibility_flips_review,
        area_small=_below(m.area_median, t.area_min_review),
        area_large=_above(m.area_median, t.area_max_review),
        area_jump=_above(m.area_jump_max, t.area_jump_review),
        box_jump=_above(m.box_jump_max, t.box_jump_review),
        object_score_low=_below(m.object_score_p05, t.object_score_review),
        predicted_iou_low=_below(m.predicted_iou_mean, t.predicted_iou_review),
        border_contact=_above(m.border_contact, t.border_contact_review),
        fragmented=_above(m.fragments_mean, t.fragments_review),
        prompt_mismatch=_below(m.prompt_iou, t.prompt_iou_review),
    )
    reasons = reject + tuple(r for r in review if r not in reject)
    return ("reject" if reject else "review" if review else "accept"), reasons


def _fired(**rules: bool) -> tuple[str, ...]:
    return tuple(name for name, fires in rules.items() if fires)


def _below(value: float | None, bound: float) -> bool:
    return value is not None and value < bound


def _above(value: float | None, bound: float) -> bool:
    return value is not None and value > bound


def _known(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


def _percentile(values: Sequence[float], percent: float) -> float | None:
    return float(np.percentile(values, percent)) if values else None


def _max_area_jump(frames: Sequence[MaskletFrame]) -> float | None:
    ratios = [
        abs(float(np.log(b.area_px / a.area_px)))
        for a, b in itertools.pairwise(frames)
        if a.area_px and b.area_px
    ]
    return max(ratios, default=None)


def _max_box_jump(frames: Sequence[MaskletFrame]) -> float | None:
    jumps = [
        _box_jump(a.box_xyxy, b.box_xyxy)
        for a, b in itertools.pairwise(frames)
        if a.box_xyxy and b.box_xyxy
    ]
    return max(jumps, default=None)


def _box_jump(before: tuple[int, ...], after: tuple[int, ...]) -> float:
    a, b = np.array(before, np.float64), np.array(after, np.float64)
    move = (b[:2] + b[2:] - a[:2] - a[2:]) / 2
    return float(np.linalg.norm(move) / np.linalg.norm(a[2:] - a[:2]))


def _prompt_iou(frames: Sequence[MaskletFrame], prompts: Sequence[Prompt]) -> float | None:
    """Return the IoU of the first box prompt and the mask's box there; 0 if the mask is empty."""
    tracked = {f.frame_index: f for f in frames}
    for prompt in prompts:
        if prompt.box_xyxy is not None and prompt.frame_index in tracked:
            box = tracked[prompt.frame_index].box_xyxy
            if box is None:
                return 0.0
            return float(boxes.iou(np.array([prompt.box_xyxy]), np.array([box], np.float64))[0, 0])
    return None
