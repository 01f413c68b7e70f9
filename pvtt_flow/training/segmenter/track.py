"""Forward pass of training: encode all frames at once, then track all pairs frame by frame.

`_track_step` and `_encode_memory_in_output` of `SAM2Base` do the work: memory is the one of
inference.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from sam2.modeling.sam2_base import SAM2Base

from pvtt_flow.training.segmenter.batch import Batch


@dataclass(frozen=True)
class Prediction:
    """Outputs of the mask decoder for a frame, before absent objects are blanked."""

    logits: torch.Tensor
    """float32 (P, 4, S / 4, S / 4): the single mask, then the three candidates."""
    iou: torch.Tensor
    """float32 (P, 4), predicted."""
    presence: torch.Tensor
    """float32 (P, 1), logits."""


@contextmanager
def capture_predictions(model: SAM2Base) -> Iterator[list[Prediction]]:
    """Collect the raw output of the mask decoder; `_track_step` blanks absent objects."""
    predictions: list[Prediction] = []
    decoder = model.sam_mask_decoder
    decode = decoder.predict_masks

    def predict_masks(*args: Any, **kwargs: Any) -> Any:
        masks, iou, tokens, presence = decode(*args, **kwargs)
        predictions.append(Prediction(masks.float(), iou.float(), presence.float()))
        return masks, iou, tokens, presence

    decoder.predict_masks = predict_masks
    try:
        yield predictions
    finally:
        del decoder.predict_masks


def track(model: SAM2Base, batch: Batch) -> list[Prediction]:
    """Return a prediction for each of the T frames."""
    num_frames = batch.images.shape[1]
    encoded = model.forward_image(batch.images.flatten(0, 1))
    _, features, positions, sizes = model._prepare_backbone_features(encoded)
    memory: dict[str, dict[int, Any]] = {"cond_frame_outputs": {}, "non_cond_frame_outputs": {}}
    corners = batch.box_xyxy.view(-1, 2, 2)
    prompt = {
        "point_coords": corners,
        "point_labels": torch.tensor([[2, 3]], dtype=torch.int32).expand(len(corners), 2),
    }
    with capture_predictions(model) as predictions:
        for t in range(num_frames):
            column = batch.clip * num_frames + t
            frame_features = [level[:, column] for level in features]
            frame_positions = [level[:, column] for level in positions]
            points = prompt if t == 0 else None
            output, outputs, _, _ = model._track_step(
                t,
                t == 0,
                frame_features,
                frame_positions,
                sizes,
                points,
                None,
                memory,
                num_frames,
                track_in_reverse=False,
                prev_sam_mask_logits=None,
            )
            high_res_masks, output["obj_ptr"], presence = outputs[4], outputs[5], outputs[6]
            model._encode_memory_in_output(
                frame_features, sizes, points, t + 1 < num_frames, high_res_masks, presence, output
            )
            memory["cond_frame_outputs" if t == 0 else "non_cond_frame_outputs"][t] = output
    return predictions
