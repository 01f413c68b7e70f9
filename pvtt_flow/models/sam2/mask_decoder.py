"""Mask decoder and prompt encoder: image features to masks, scores and object pointers.

Follows sam2/modeling/sam2_base.py, `SAM2Base._forward_sam_heads` and `_use_mask_as_output`, without
the work on candidate masks that are not chosen.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from pvtt_flow.models.sam2.mask_confidence import confidence_of, unknown_confidence
from pvtt_flow.models.sam2.tensors import MaskPrediction

# Logit of each pixel of a mask without an object (sam2_base.py, `NO_OBJ_SCORE`).
_ABSENT_LOGIT = -1024.0
# Scale and bias that turn a mask prompt into logits (sam2_base.py, `_use_mask_as_output`).
_MASK_SCALE, _MASK_BIAS = 20.0, -10.0
# Limit of previous logits that are used as a prompt (sam2_video_predictor.py,
# `add_new_points_or_box`).
_PREVIOUS_LOGIT_LIMIT = 32.0


class MaskDecoder:
    """Official `sam_mask_decoder` and `sam_prompt_encoder`; constant embeddings are cached."""

    def __init__(self, predictor: Any, grid_side: int, *, keep_alternatives: bool = False) -> None:
        self._predictor = predictor
        self._keep_alternatives = keep_alternatives
        self._grid_side = grid_side
        device = predictor.device
        # SAM 2 expresses "no prompt" as one point with label -1.
        points = torch.zeros(1, 1, 2, device=device)
        labels = -torch.ones(1, 1, dtype=torch.int32, device=device)
        with torch.no_grad():
            self._no_points: Tensor = self._embed_points(points, labels)

    def decode_tracked(self, tokens: Tensor, high_res_features: Sequence[Tensor]) -> MaskPrediction:
        """Decode objects without prompts from memory-conditioned tokens (b, T, C)."""
        sparse = self._no_points.expand(len(tokens), -1, -1)
        dense = self._no_mask(len(tokens))
        multimask = self._has_candidates(0, is_tracked=True)
        return self._decode(
            tokens,
            high_res_features,
            sparse,
            dense,
            multimask=multimask,
            keep_alternatives=self._keep_alternatives,
        )

    def decode_points(
        self,
        tokens: Tensor,
        high_res_features: Sequence[Tensor],
        points: Tensor,
        labels: Tensor,
        previous_logits: Tensor | None = None,
    ) -> MaskPrediction:
        """Decode objects from tokens (b, T, C) and points.

        Points are float32 (b, P, 2) with int32 labels (b, P) as in `PromptTensors`;
        `previous_logits` (b, 4h, 4w) are the mask that the points correct.
        """
        if previous_logits is None:
            dense = self._no_mask(len(tokens))
        else:
            mask = previous_logits[:, None].clamp(-_PREVIOUS_LOGIT_LIMIT, _PREVIOUS_LOGIT_LIMIT)
            dense = self._predictor.sam_prompt_encoder.mask_downscaling(mask)
        sparse = self._embed_points(points, labels)
        is_tracked = previous_logits is not None
        multimask = self._has_candidates(points.shape[1], is_tracked=is_tracked)
        return self._decode(tokens, high_res_features, sparse, dense, multimask=multimask)

    def use_masks_as_output(
        self,
        tokens: Tensor,
        high_res_features: Sequence[Tensor],
        masks: Tensor,
        small_masks: Tensor,
    ) -> MaskPrediction:
        """Return mask prompts as the predicted masks.

        They are float32 (b, 1, 16h, 16w) and, as small masks, (b, 1, 4h, 4w), as in
        `PromptTensors`. The decoder only computes their object pointers.
        """
        sparse = self._no_points.expand(len(masks), -1, -1)
        prompt = self._predictor.mask_downsample(masks)
        dense = self._predictor.sam_prompt_encoder.mask_downscaling(prompt)
        decoded = self._decode(tokens, high_res_features, sparse, dense, multimask=False)
        present = (masks > 0).flatten(1).any(1, keepdim=True).float()
        return MaskPrediction(
            logits=small_masks[:, 0] * _MASK_SCALE + _MASK_BIAS,
            object_score=_MASK_SCALE * present[:, 0] + _MASK_BIAS,
            predicted_iou=torch.full_like(present[:, 0], torch.nan),
            object_pointer=self._pointer_or_absent(decoded.object_pointer, present),
            confidence=unknown_confidence(len(masks), masks.device),
        )

    def _decode(
        self,
        tokens: Tensor,
        high_res_features: Sequence[Tensor],
        sparse: Tensor,
        dense: Tensor,
        *,
        multimask: bool,
        keep_alternatives: bool = False,
    ) -> MaskPrediction:
        predictor = self._predictor
        masks, ious, sam_tokens, object_score = predictor.sam_mask_decoder(
            image_embeddings=tokens.transpose(1, 2).unflatten(2, (self._grid_side,) * 2),
            # Not cached at construction: under autocast its values differ, also officially.
            image_pe=predictor.sam_prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=multimask,
            repeat_image=False,
            high_res_features=list(high_res_features),
        )
        best = ious.argmax(-1)
        rows = torch.arange(len(best), device=best.device)
        sam_token = sam_tokens[rows, best] if sam_tokens.shape[1] > 1 else sam_tokens[:, 0]
        present = (object_score > 0).float()
        best_logits = masks[rows, best].float()
        return MaskPrediction(
            logits=torch.where(object_score[..., None] > 0, best_logits, _ABSENT_LOGIT),
            object_score=object_score[:, 0].float(),
            predicted_iou=ious[rows, best].float(),
            object_pointer=self._pointer_or_absent(predictor.obj_ptr_proj(sam_token), present),
            confidence=confidence_of(masks, best),
            alternatives=_others(masks, best) > 0 if keep_alternatives else None,
        )

    def _has_candidates(self, num_points: int, *, is_tracked: bool) -> bool:
        """Return whether the best of several masks is taken (sam2_base.py, `_use_multimask`)."""
        predictor = self._predictor
        fewest, most = predictor.multimask_min_pt_num, predictor.multimask_max_pt_num
        wanted = predictor.multimask_output_in_sam and fewest <= num_points <= most
        return bool(wanted and (predictor.multimask_output_for_tracking or not is_tracked))

    def _pointer_or_absent(self, pointer: Tensor, present: Tensor) -> Tensor:
        """Return pointers (b, C), or the embedding of "no object" where `present` (b, 1) is 0."""
        if self._predictor.fixed_no_obj_ptr:
            pointer = present * pointer
        return pointer + (1 - present) * self._predictor.no_obj_ptr

    def _embed_points(self, points: Tensor, labels: Tensor) -> Tensor:
        return self._predictor.sam_prompt_encoder._embed_points(points, labels, pad=True)

    def _no_mask(self, num_objects: int) -> Tensor:
        embedding: Tensor = self._predictor.sam_prompt_encoder.no_mask_embed.weight
        grid = self._grid_side, self._grid_side
        return embedding.reshape(1, -1, 1, 1).expand(num_objects, -1, *grid)


def _others(masks: Tensor, best: Tensor) -> Tensor:
    """Return all masks (b, n, ...) but the best one (b,), (b, n - 1, ...)."""
    count = masks.shape[1]
    others = (best[:, None] + torch.arange(1, count, device=masks.device)) % count
    return masks[torch.arange(len(masks), device=masks.device)[:, None], others]
