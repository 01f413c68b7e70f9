"""Observation: what a memory policy knows of an object on a frame that it was tracked to."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from math import nan

import numpy as np
import torch
from numpy.typing import NDArray

from pvtt_flow.models.sam2.tensors import MaskPrediction


class Reads(IntEnum):
    """Extent of what is read from the device for a policy; each includes those before it."""

    NOTHING = 0
    SCORES = 1
    MASKS = 2
    ALTERNATIVES = 3


def _no_masks() -> NDArray[np.bool_]:
    return np.zeros((0, 0, 0), np.bool_)


@dataclass(frozen=True, slots=True, eq=False)
class Observation:
    """An object on a frame; NaN and empty where its policy reads less."""

    object_score: float = nan
    """Logit; above 0 means present."""
    predicted_iou: float = nan
    masks: NDArray[np.bool_] = field(default_factory=_no_masks)
    """bool (n, 4h, 4w): the predicted mask, then the candidates that were not chosen."""


UNSEEN = Observation()


def observe(prediction: MaskPrediction, reads: Reads) -> Sequence[Observation]:
    """Return what is known of each of b objects.

    Waits for the device, unless nothing is read.
    """
    if reads is Reads.NOTHING:
        return [UNSEEN] * len(prediction.object_score)
    scores = torch.stack([prediction.object_score, prediction.predicted_iou], 1).tolist()
    if reads is Reads.SCORES:
        return [Observation(score, iou) for score, iou in scores]
    masks = prediction.logits[:, None] > 0
    if reads is Reads.ALTERNATIVES:
        masks = torch.cat([masks, _alternatives(prediction)], 1)
    # Copies, since an observation may outlive its batch.
    return [
        Observation(score, iou, each.copy())
        for (score, iou), each in zip(scores, masks.cpu().numpy(), strict=True)
    ]


def _alternatives(prediction: MaskPrediction) -> torch.Tensor:
    if prediction.alternatives is None:
        raise RuntimeError("the model must keep alternatives for this memory policy")
    return prediction.alternatives
