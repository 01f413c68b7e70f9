"""Conditioning frames: the prompted frames of new shots, from prompts to their memories."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import torch

from pvtt_flow.models.sam2.frame_image import stack_images
from pvtt_flow.models.sam2.mask_output import fill_holes
from pvtt_flow.models.sam2.memory_bank import Memory
from pvtt_flow.models.sam2.model import Sam2
from pvtt_flow.models.sam2.object_state import ObjectState
from pvtt_flow.models.sam2.prompt_encoding import PromptTensors
from pvtt_flow.models.sam2.shot_state import ShotState
from pvtt_flow.models.sam2.tensors import ImageFeatures, MaskPrediction


@dataclass(frozen=True, slots=True, eq=False)
class ConditioningOutput:
    """Prediction and memory of one object on one conditioning frame."""

    object_state: ObjectState
    position: int
    prediction: MaskPrediction
    """b = 1."""
    memory: Memory


@dataclass(frozen=True, slots=True, eq=False)
class _PromptedObject:
    object_state: ObjectState
    position: int
    prompt: PromptTensors
    image: int
    """Index among the encoded images."""

    @property
    def batch_key(self) -> tuple[bool, int]:
        """Prompts with equal keys form a batch: masks, or the same number of points."""
        return self.prompt.mask is not None, len(self.prompt.labels)


def condition(
    model: Sam2, frames: Sequence[tuple[ShotState, int]], fill_holes_px: int
) -> list[ConditioningOutput]:
    """Predict and memorize each object that is prompted on these frames (shot, position)."""
    images = [shot.prompt_images[position] for shot, position in frames]
    features = model.encode_images(stack_images(images, model.device))
    prompted = [
        _PromptedObject(object_state, position, object_state.prompts[position], image)
        for image, (shot, position) in enumerate(frames)
        for object_state in shot.objects
        if position in object_state.prompts
    ]
    prompted.sort(key=lambda p: p.batch_key)
    return [
        output
        for _, batch in groupby(prompted, key=lambda p: p.batch_key)
        for output in _condition_batch(model, features, list(batch), fill_holes_px)
    ]


def _condition_batch(
    model: Sam2, features: ImageFeatures, prompted: Sequence[_PromptedObject], fill_holes_px: int
) -> list[ConditioningOutput]:
    object_features = features.select([p.image for p in prompted])
    prediction = _predict(model, object_features, [p.prompt for p in prompted])
    prediction = prediction.with_logits(fill_holes(prediction.logits, fill_holes_px))
    memories = model.encode_memory(object_features.pixel_features, prediction, is_conditioning=True)
    return [
        ConditioningOutput(
            object_state=p.object_state,
            position=p.position,
            prediction=prediction.row(i),
            memory=Memory(p.position, memories[i], prediction.object_pointer[i]),
        )
        for i, p in enumerate(prompted)
    ]


def _predict(
    model: Sam2, features: ImageFeatures, prompts: Sequence[PromptTensors]
) -> MaskPrediction:
    masks = [prompt.mask for prompt in prompts if prompt.mask is not None]
    small_masks = [prompt.small_mask for prompt in prompts if prompt.small_mask is not None]
    if masks:
        both = torch.stack(masks).to(model.device), torch.stack(small_masks).to(model.device)
        return model.use_masks_as_output(features, *both)
    points = torch.stack([prompt.points for prompt in prompts]).to(model.device)
    labels = torch.stack([prompt.labels for prompt in prompts]).to(model.device)
    return model.predict_at_points(features, points, labels)
