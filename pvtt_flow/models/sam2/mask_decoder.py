"""The mask decoder and the prompt encoder: from image features to masks, scores and pointers.

sam2's modeling/sam2_base.py, `_forward_sam_heads` (:255-408) and `_use_mask_as_output` (:410-462),
without the work on candidate masks that are not chosen.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from pvtt_flow.models.sam2.tensors import Sight

# What the official model writes where it sees no object (sam2_base.py:19).
_ABSENT_LOGIT = -1024.0
# A given mask as logits (sam2_base.py:416).
_MASK_SCALE, _MASK_BIAS = 20.0, -10.0
# Of earlier logits that are fed back (sam2_video_predictor.py:262).
_PREVIOUS_LIMIT = 32.0


class Heads:
    """The official modules, with what never changes computed once."""

    def __init__(self, predictor: Any, grid: int) -> None:
        self._model = predictor
        self._grid = grid
        device = predictor.device
        # "No prompt" is one point that is none (sam2_base.py:317-320).
        nowhere = torch.zeros(1, 1, 2, device=device)
        none = -torch.ones(1, 1, dtype=torch.int32, device=device)
        with torch.no_grad():
            self._empty: Tensor = self._points(nowhere, none)

    def unprompted(self, tokens: Tensor, fine: Sequence[Tensor]) -> Sight:
        """Objects found by memory alone: tokens (b, T, C) that know the past."""
        sparse = self._empty.expand(len(tokens), -1, -1)
        return self._decoded(tokens, fine, sparse, self._no_mask(len(tokens)), num_points=0)

    def at_points(
        self,
        tokens: Tensor,
        fine: Sequence[Tensor],
        points: Tensor,
        labels: Tensor,
        before: Tensor | None = None,
    ) -> Sight:
        """Objects at points (b, P, 2) with labels (b, P), given earlier logits (b, 4h, 4w) or
        none."""
        if before is None:
            dense = self._no_mask(len(tokens))
        else:
            previous = before[:, None].clamp(-_PREVIOUS_LIMIT, _PREVIOUS_LIMIT)
            dense = self._model.sam_prompt_encoder.mask_downscaling(previous)
        sparse = self._points(points, labels)
        return self._decoded(tokens, fine, sparse, dense, num_points=points.shape[1])

    def of_masks(self, tokens: Tensor, fine: Sequence[Tensor], masks: Tensor) -> Sight:
        """Objects whose masks (b, 1, S, S) of 0 and 1 are given; they are the result as they are,
        and the decoder only finds their pointers."""
        sparse = self._empty.expand(len(masks), -1, -1)
        prompt = self._model.mask_downsample(masks)
        dense = self._model.sam_prompt_encoder.mask_downscaling(prompt)
        # As many points as never ask for several candidates.
        seen = self._decoded(tokens, fine, sparse, dense, num_points=2)
        logits = functional.interpolate(
            masks * _MASK_SCALE + _MASK_BIAS,
            size=(self._grid * 4, self._grid * 4),
            mode="bilinear",
            align_corners=False,
            antialias=True,
        )
        present = (masks > 0).flatten(1).any(1, keepdim=True).float()
        return Sight(
            logits=logits[:, 0].float(),
            score=_MASK_SCALE * present[:, 0] + _MASK_BIAS,
            iou=torch.full_like(present[:, 0], torch.nan),
            pointer=self._or_absent(seen.pointer, present),
        )

    def _decoded(
        self,
        tokens: Tensor,
        fine: Sequence[Tensor],
        sparse: Tensor,
        dense: Tensor,
        num_points: int,
    ) -> Sight:
        model = self._model
        fewest, most = model.multimask_min_pt_num, model.multimask_max_pt_num
        masks, ious, outputs, score = model.sam_mask_decoder(
            image_embeddings=tokens.transpose(1, 2).unflatten(2, (self._grid, self._grid)),
            # Not kept: under autocast its values are others, and so they are officially.
            image_pe=model.sam_prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=model.multimask_output_in_sam and fewest <= num_points <= most,
            repeat_image=False,
            high_res_features=list(fine),
        )
        best = ious.argmax(-1)
        each = torch.arange(len(best), device=best.device)
        output = outputs[each, best] if outputs.shape[1] > 1 else outputs[:, 0]
        present = (score > 0).float()
        return Sight(
            logits=torch.where(score[..., None] > 0, masks[each, best].float(), _ABSENT_LOGIT),
            score=score[:, 0].float(),
            iou=ious[each, best].float(),
            pointer=self._or_absent(model.obj_ptr_proj(output), present),
        )

    def _or_absent(self, pointer: Tensor, present: Tensor) -> Tensor:
        if self._model.fixed_no_obj_ptr:
            pointer = present * pointer
        return pointer + (1 - present) * self._model.no_obj_ptr

    def _points(self, points: Tensor, labels: Tensor) -> Tensor:
        return self._model.sam_prompt_encoder._embed_points(points, labels, pad=True)

    def _no_mask(self, num_objects: int) -> Tensor:
        none: Tensor = self._model.sam_prompt_encoder.no_mask_embed.weight
        return none.reshape(1, -1, 1, 1).expand(num_objects, -1, self._grid, self._grid)
