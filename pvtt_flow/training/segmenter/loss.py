"""SAM 2's losses: focal 20, dice 1, predicted IoU 1, presence 1, best of three candidates."""

from dataclasses import dataclass

import torch
from torch.nn import functional

from pvtt_flow.training.segmenter.track import Prediction

FOCAL, DICE, IOU, PRESENCE = 20.0, 1.0, 1.0, 1.0
# Masks are compared at half the image's side: finer than the logits, cheaper than pixels.
SIDE_DIVISOR = 2


@dataclass(frozen=True)
class Loss:
    """Loss of a frame and its parts."""

    total: torch.Tensor
    mask: float
    presence: float
    j: torch.Tensor
    """float32 (P,), IoU of the mask that inference would choose."""
    present: torch.Tensor
    """bool (P,)."""


def frame_loss(prediction: Prediction, mask: torch.Tensor, *, is_single: bool) -> Loss:
    """Return the loss of one frame; mask: float32 (P, S, S), 0 or 1, all 0 where absent.

    `is_single` is true where inference would take the single mask, and not the best candidate.
    """
    side = mask.shape[-1] // SIDE_DIVISOR
    # Larger logits only overflow, in models that are at the start of training.
    logits = prediction.logits.clamp(-20, 20)
    logits = functional.interpolate(logits, size=(side, side), mode="bilinear", align_corners=False)
    truth = functional.avg_pool2d(mask[:, None], SIDE_DIVISOR).expand_as(logits)
    present = mask.flatten(1).any(1)
    per_mask = FOCAL * focal(logits, truth) + DICE * dice(logits, truth)
    best = per_mask[:, 1:].min(1).values
    weight = present / present.sum().clamp(min=1)
    mask_loss = ((per_mask[:, 0] + best) * weight).sum()
    with torch.no_grad():
        actual_iou = mask_iou(logits > 0, truth > 0.5)
    iou_loss = ((prediction.iou - actual_iou).abs().mean(1) * weight).sum()
    presence_loss = functional.binary_cross_entropy_with_logits(
        prediction.presence[:, 0], present.float()
    )
    chosen = (
        torch.zeros_like(present, dtype=torch.long)
        if is_single
        else prediction.iou[:, 1:].argmax(1) + 1
    )
    return Loss(
        mask_loss + IOU * iou_loss + PRESENCE * presence_loss,
        mask_loss.item(),
        presence_loss.item(),
        actual_iou[torch.arange(len(chosen)), chosen],
        present,
    )


def focal(logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Return the sigmoid focal loss (gamma 2, alpha 0.25) a mask: (P, M) from (P, M, h, w)."""
    probability = logits.sigmoid()
    cross = functional.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    correct_probability = probability * truth + (1 - probability) * (1 - truth)
    alpha = 0.25 * truth + 0.75 * (1 - truth)
    return (alpha * cross * (1 - correct_probability) ** 2).mean((-2, -1))


def dice(logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Return the soft dice loss a mask: (P, M) from (P, M, h, w)."""
    probability = logits.sigmoid()
    intersection = (probability * truth).sum((-2, -1))
    return 1 - (2 * intersection + 1) / (probability.sum((-2, -1)) + truth.sum((-2, -1)) + 1)


def mask_iou(mask: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Return intersection over union (P, M) of bool (P, M, h, w); 1 where both are empty.

    `measure.region_similarity` is for arrays; tensors stay on their device here.
    """
    intersection = (mask & truth).sum((-2, -1))
    union = (mask | truth).sum((-2, -1))
    return torch.where(union > 0, intersection / union.clamp(min=1), 1.0)
