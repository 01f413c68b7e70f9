"""Quality control of a masklet without ground truth: measurements, and a verdict on them.

`measure` needs only the tracked frames and `judge` needs only the measurements, so verdicts can be
changed on a stored dataset without a GPU. The verdict is by a calibrated probability
(`core.quality`); named rules say what is unusual about a masklet that is not accepted.
"""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from pvtt_flow.core import boxes, quality
from pvtt_flow.params import Params
from pvtt_flow.types import MaskletFrame, Measurements, Prompt, VerdictName

Fraction01 = Annotated[float, Field(ge=0, le=1)]
Reason = Literal[
    "no_mask", "gone_but_shown", "prompt_mismatch", "ambiguous_target", "detector_disagrees",
    "not_salient", "predicted_iou_low", "object_score_low", "fragmented", "area_small",
    "area_large", "area_jump", "box_jump", "flickers", "doubtful",
]  # fmt: skip


class QcThresholds(Params):
    """Thresholds of the verdict, and of the reasons for another verdict than `accept`."""

    accept_probability: Fraction01 = 0.9
    """Accept from this calibrated probability on that the masklet's mean J is 0.75 or more."""
    reject_probability: Fraction01 = 0.2
    """Reject below this probability; between both, review."""
    gone_probability: Fraction01 = 0.5
    """`gone_but_shown`: above this probability that a mask is shown while the object is gone."""
    always_review: tuple[Reason, ...] = ("gone_but_shown", "prompt_mismatch", "ambiguous_target")
    """Reasons that send a masklet to review which would be accepted."""
    prompt_iou_min: Fraction01 = 0.5
    """`prompt_mismatch`: below this IoU of the prompt box and the mask's box on the prompted
    frame."""
    prompt_margin_min: Fraction01 = 0.1
    """`ambiguous_target`: below this margin of a detected product to the best one that was not
    chosen, as a share of its rank by `detect.choose`."""
    detector_iou_min: Fraction01 = 0.3
    """`detector_disagrees`: below this mean IoU of the boxes of masks and of detected products, on
    frames that were searched again (`detect.recheck_every`)."""
    salient_iou_min: Fraction01 = 0.3
    """`not_salient`: below this mean IoU of masks and of what a salient-object model finds
    (`measure.salient`)."""
    predicted_iou_min: Fraction01 = 0.6
    """`predicted_iou_low`: below this mean of the IoU that SAM 2 predicts for its masks."""
    object_score_min: float = 0.0
    """`object_score_low`: below this 5th percentile of SAM 2's object score, a logit: above 0 the
    object is visible."""
    fragments_max: Annotated[float, Field(ge=1)] = 3.0
    """`fragmented`: above this mean number of connected parts of a mask."""
    area_min: Fraction01 = 0.001
    """`area_small`: below this median mask area, as a fraction of the picture."""
    area_max: Fraction01 = 0.8
    """`area_large`: above this median mask area, as a fraction of the picture."""
    area_jump_max: Annotated[float, Field(gt=0)] = 0.7
    """`area_jump`: above this largest |ln(area[t+1] / area[t])|; 0.69 is a mask that doubles or
    halves in one frame."""
    box_jump_max: Annotated[float, Field(gt=0)] = 0.5
    """`box_jump`: above this largest move of the box's center between two frames, in box
    diagonals."""
    visibility_flips_max: Annotated[int, Field(ge=0)] = 4
    """`flickers`: above this number of changes between visible and invisible from frame to
    frame."""


@dataclass(frozen=True, slots=True)
class Judged:
    """Verdict on a masklet, and what it is by; the names are those of the columns."""

    verdict: VerdictName
    reasons: tuple[Reason, ...]
    """Rules that fire, for another verdict than `accept`; `doubtful` if none does."""
    good_probability: float | None
    """Null for a masklet without a mask, as `gone_probability`."""
    gone_probability: float | None


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
    looks = [f.appearance for f in present if f.appearance is not None]
    color_distance = _known(look.color_distance for look in looks)
    contour_contrast = _known(look.contour_contrast for look in looks)
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
        color_distance_mean=_mean(color_distance),
        color_distance_p95=_percentile(color_distance, 95),
        contour_contrast_mean=_mean(contour_contrast),
        flow_iou_mean=_mean(_known(look.flow_iou for look in looks)),
        backward_iou_mean=_mean(_known(f.backward_iou for f in present)),
        backward_iou_prompt=next((f.backward_iou for f in present if "prompted" in f.flags), None),
        detector_iou_mean=_mean(_known(f.detector_iou for f in present)),
        salient_iou_mean=_mean(_known(f.salient_iou for f in present)),
        prompt_margin=min(_known(prompt.margin for prompt in prompts), default=None),
    )


def judge(m: Measurements, thresholds: QcThresholds, tracker_hash: str = "") -> Judged:
    """Return the verdict; `tracker_hash` is that of the weights whose scores were measured."""
    if not m.presence:
        return Judged("reject", ("no_mask",), None, None)
    p = quality.of_masklet(m, tracker_hash)
    fired = _reasons(m, p.gone, thresholds)
    verdict = _verdict(p.good, fired, thresholds)
    reasons = () if verdict == "accept" else fired or ("doubtful",)
    return Judged(verdict, reasons, p.good, p.gone)


def _verdict(good: float, fired: Sequence[Reason], thresholds: QcThresholds) -> VerdictName:
    if good < thresholds.reject_probability:
        return "reject"
    if good < thresholds.accept_probability or {*fired} & {*thresholds.always_review}:
        return "review"
    return "accept"


def _reasons(m: Measurements, gone: float, t: QcThresholds) -> tuple[Reason, ...]:
    """Return the rules that fire."""
    rules: dict[Reason, bool] = {
        "gone_but_shown": gone > t.gone_probability,
        "prompt_mismatch": _below(m.prompt_iou, t.prompt_iou_min),
        "ambiguous_target": _below(m.prompt_margin, t.prompt_margin_min),
        "detector_disagrees": _below(m.detector_iou_mean, t.detector_iou_min),
        "not_salient": _below(m.salient_iou_mean, t.salient_iou_min),
        "predicted_iou_low": _below(m.predicted_iou_mean, t.predicted_iou_min),
        "object_score_low": _below(m.object_score_p05, t.object_score_min),
        "fragmented": _above(m.fragments_mean, t.fragments_max),
        "area_small": _below(m.area_median, t.area_min),
        "area_large": _above(m.area_median, t.area_max),
        "area_jump": _above(m.area_jump_max, t.area_jump_max),
        "box_jump": _above(m.box_jump_max, t.box_jump_max),
        "flickers": m.visibility_flips > t.visibility_flips_max,
    }
    return tuple(reason for reason, fires in rules.items() if fires)


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
