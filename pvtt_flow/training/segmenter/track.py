"""Forward pass of training: encode all frames at once, then track all pairs frame by frame.

`_track_step` and `_encode_memory_in_output` of `SAM2Base` do the work: memory is the one of
inference. Prompted frames come first, as they do there.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sam2.modeling.sam2_base import SAM2Base

from pvtt_flow.training.segmenter.batch import Batch
from pvtt_flow.training.segmenter.prompts import Points, Rng, corrections, joined, on_device


@dataclass(frozen=True)
class Prediction:
    """Outputs of the mask decoder for a frame, before absent objects are blanked."""

    logits: torch.Tensor
    """float32 (P, 4, S / 4, S / 4): the single mask, then the three candidates."""
    iou: torch.Tensor
    """float32 (P, 4), predicted."""
    presence: torch.Tensor
    """float32 (P, 1), logits."""


@dataclass(frozen=True)
class Output:
    """Prediction for a frame."""

    frame: int
    prediction: Prediction
    is_single: bool
    """True where inference takes the single mask: after a prompt of more than one point."""
    is_corrected: bool = False
    """True for the second prediction for a frame, after a click where the first one was wrong."""


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


def track(model: SAM2Base, batch: Batch, rng: Rng) -> list[Output]:
    """Return the outputs for all frames, prompted ones first; `rng` draws the correcting click.

    A mask that is a prompt is its frame's output: there is nothing to learn from.
    """
    with capture_predictions(model) as predictions:
        tracking = _Tracking(model, batch)
        outputs: list[Output] = []
        for t in tracking.order():
            points, mask = batch.prompts.get(t), None
            if t in batch.prompts and points is None:
                mask = batch.masks[:, t, None]
            tracking.step(t, points, mask)
            if mask is None:
                outputs.append(Output(t, predictions[-1], _is_single(points)))
            if t == batch.plan.corrected:
                truth = batch.masks[:, t]
                click = corrections(rng, tracking.masks(), truth.cpu().numpy() > 0.5)
                click = on_device(click, truth.device)
                points = click if points is None else joined(points, click)
                tracking.step(t, points, None, previous=tracking.logits())
                outputs.append(Output(t, predictions[-1], _is_single(points), is_corrected=True))
            tracking.remember(t)
    return outputs


def _is_single(points: Points | None) -> bool:
    return points is not None and points["point_labels"].shape[1] > 1


class _Tracking:
    """Encoded frames, memory, and what the model made of the current frame."""

    def __init__(self, model: SAM2Base, batch: Batch) -> None:
        self._model, self._batch = model, batch
        self._num_frames = batch.images.shape[1]
        encoded = model.forward_image(batch.images.flatten(0, 1))
        _, self._features, self._positions, self._sizes = model._prepare_backbone_features(encoded)
        self._memory: dict[str, dict[int, Any]] = {
            "cond_frame_outputs": {},
            "non_cond_frame_outputs": {},
        }
        self._current: dict[str, Any] = {}
        self._sam_outputs: Any = None

    def order(self) -> list[int]:
        """Return the frames, prompted ones first."""
        prompted = self._batch.plan.frames
        return [*prompted, *(t for t in range(self._num_frames) if t not in prompted)]

    def step(
        self,
        t: int,
        points: Points | None,
        mask: torch.Tensor | None,
        previous: torch.Tensor | None = None,
    ) -> None:
        """Run the model on a frame; `previous` has the logits that a click corrects."""
        self._current, self._sam_outputs, _, _ = self._model._track_step(
            t,
            t in self._batch.prompts,
            self._of_frame(self._features, t),
            self._of_frame(self._positions, t),
            self._sizes,
            points,
            mask,
            self._memory,
            self._num_frames,
            track_in_reverse=False,
            prev_sam_mask_logits=previous,
        )

    def masks(self) -> NDArray[np.bool_]:
        """Return the masks (P, S, S) of the last step."""
        found: NDArray[np.bool_] = (self._sam_outputs[4][:, 0].detach() > 0).cpu().numpy()
        return found

    def logits(self) -> torch.Tensor:
        """Return the logits (P, 1, S / 4, S / 4) of the last step, as SAM 2 feeds them back."""
        logits: torch.Tensor = self._sam_outputs[3].detach().clamp(-32, 32)
        return logits

    def remember(self, t: int) -> None:
        """Put the frame into the memory; frames with any prompt are conditioning ones."""
        high_res_masks, self._current["obj_ptr"], presence = self._sam_outputs[4:7]
        points = self._current["point_inputs"]
        self._model._encode_memory_in_output(
            self._of_frame(self._features, t),
            self._sizes,
            points,
            run_mem_encoder=t != self.order()[-1],
            high_res_masks=high_res_masks,
            object_score_logits=presence,
            current_out=self._current,
        )
        is_prompted = t in self._batch.prompts or t == self._batch.plan.corrected
        kind = "cond_frame_outputs" if is_prompted else "non_cond_frame_outputs"
        self._memory[kind][t] = self._current

    def _of_frame(self, levels: list[torch.Tensor], t: int) -> list[torch.Tensor]:
        column = self._batch.clip * self._num_frames + t
        return [level[:, column] for level in levels]
