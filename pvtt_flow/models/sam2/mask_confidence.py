"""Confidence of a mask, by the mask decoder's logits, beside the IoU that it predicts.

Taken from the raw logits of the decoder: filled holes and absent objects have constants instead.
"""

import math
from collections.abc import Sequence
from dataclasses import fields

import torch
from torch import Tensor
from torch.nn import functional

from pvtt_flow.types import MaskConfidence

_FIELDS = tuple(field.name for field in fields(MaskConfidence))
NUM_NUMBERS = len(_FIELDS)
"""Numbers of a mask."""
# Offset of the thresholds in SAM's automatic mask generator (`stability_score_offset`).
_STABILITY_OFFSET = 1.0


def confidence_of(candidates: Tensor, best: Tensor) -> Tensor:
    """Return float32 (b, 4) of the best of n candidate masks, logits (b, n, 4h, 4w); best is (b,).

    Columns are the fields of `MaskConfidence`:

    - `mask_entropy`: binary entropy of the pixels' probabilities, in bits, summed over the picture
      and divided by the sum of the probabilities: bits for each pixel of the object, so that small
      objects are not more certain than large ones.
    - `stability_score`: IoU of the masks above 1 and above -1 (segment_anything/utils/amg.py,
      `calculate_stability_score`).
    - `soft_dice`: Dice of the probabilities and the mask (Borges et al., Soft Dice Confidence,
      2024).
    - `candidate_iou`: least IoU of the mask and another candidate.

    NaN where there is no such mask, or no other candidate.
    """
    candidates = candidates.float()
    logits = _chosen(candidates, best)
    mask = (logits > 0).float()
    probability = logits.sigmoid()
    volume = probability.sum((1, 2))
    # Of p and 1 - p, without logarithms of rounded zeros.
    entropy = functional.softplus(logits) - logits * probability
    above = (logits > _STABILITY_OFFSET).sum((1, 2))
    below = (logits > -_STABILITY_OFFSET).sum((1, 2))
    return torch.stack(
        [
            entropy.sum((1, 2)) / math.log(2) / volume,
            above / below,
            2 * (probability * mask).sum((1, 2)) / (volume + mask.sum((1, 2))),
            _least_iou(candidates > 0, best),
        ],
        1,
    )


def unknown_confidence(num_objects: int, device: torch.device) -> Tensor:
    """Return the confidence of masks that no decoder made: NaN, float32 (b, 4)."""
    return torch.full((num_objects, NUM_NUMBERS), torch.nan, device=device)


def to_confidence(row: Sequence[float]) -> MaskConfidence | None:
    """Return a row of `confidence_of` with None for NaN; None for a row without a number."""
    values = {name: number_or_none(value) for name, value in zip(_FIELDS, row, strict=True)}
    return MaskConfidence(**values) if any(v is not None for v in values.values()) else None


def number_or_none(value: float) -> float | None:
    """Return a number; None for NaN."""
    return None if math.isnan(value) else value


def _least_iou(masks: Tensor, best: Tensor) -> Tensor:
    """Return the least IoU of the best mask and another one; NaN without a pixel or another one."""
    count = masks.shape[1]
    if count == 1:
        return torch.full((len(masks),), torch.nan, device=masks.device)
    chosen = _chosen(masks, best)[:, None]
    iou = (masks & chosen).sum((2, 3)) / (masks | chosen).sum((2, 3))
    is_best = torch.arange(count, device=masks.device) == best[:, None]
    return torch.where(is_best, torch.inf, iou).amin(1)


def _chosen(masks: Tensor, best: Tensor) -> Tensor:
    return masks[torch.arange(len(masks), device=masks.device), best]
