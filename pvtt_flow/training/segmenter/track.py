"""The forward pass of training: one encoding of all frames, then every pair tracked in step.

It drives `_track_step` and `_encode_memory_in_output` of `SAM2Base`, so memory works as it
does in inference.
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
def listening(model: SAM2Base) -> Iterator[list[Prediction]]:
    """Collects the decoder's raw output while it runs: `_track_step` returns only the gated."""
    heard: list[Prediction] = []
    decoder = model.sam_mask_decoder
    plain = decoder.predict_masks

    def predict_masks(*args: Any, **kwargs: Any) -> Any:
        masks, iou, tokens, presence = plain(*args, **kwargs)
        heard.append(Prediction(masks.float(), iou.float(), presence.float()))
        return masks, iou, tokens, presence

    decoder.predict_masks = predict_masks
    try:
        yield heard
    finally:
        del decoder.predict_masks


def track(model: SAM2Base, batch: Batch) -> list[Prediction]:
    """A prediction for each of the T frames."""
    num_frames = batch.images.shape[1]
    encoded = model.forward_image(batch.images.flatten(0, 1))
    _, features, positions, sizes = model._prepare_backbone_features(encoded)
    memory: dict[str, dict[int, Any]] = {"cond_frame_outputs": {}, "non_cond_frame_outputs": {}}
    corners = batch.box_xyxy.view(-1, 2, 2)
    prompt = {
        "point_coords": corners,
        "point_labels": torch.tensor([[2, 3]], dtype=torch.int32).expand(len(corners), 2),
    }
    with listening(model) as heard:
        for t in range(num_frames):
            column = batch.clip * num_frames + t
            here = [level[:, column] for level in features]
            place = [level[:, column] for level in positions]
            points = prompt if t == 0 else None
            out, outputs, _, _ = model._track_step(
                t,
                t == 0,
                here,
                place,
                sizes,
                points,
                None,
                memory,
                num_frames,
                track_in_reverse=False,
                prev_sam_mask_logits=None,
            )
            high_res_masks, out["obj_ptr"], presence = outputs[4], outputs[5], outputs[6]
            model._encode_memory_in_output(
                here, sizes, points, t + 1 < num_frames, high_res_masks, presence, out
            )
            memory["cond_frame_outputs" if t == 0 else "non_cond_frame_outputs"][t] = out
    return heard
