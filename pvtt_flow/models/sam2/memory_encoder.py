"""The memory encoder, and where and when memories and pointers lie (sam2_base.py:582-737)."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


class MemoryEncoder:
    """The official modules; the frame's share of a memory is made once for all its objects."""

    def __init__(self, predictor: Any, grid: int) -> None:
        self._model = predictor
        self._encoder = predictor.memory_encoder
        self._size = (predictor.image_size, predictor.image_size)
        self.places = tokens_of(self._encoder.position_encoding, predictor.mem_dim, grid, predictor)
        """(T, Cm): where on the grid a memory's tokens lie."""
        self.ages: Tensor = predictor.maskmem_tpos_enc[:, 0, 0].detach()
        """(7, Cm): 1 to 6 frames ago at 0 to 5, a prompted frame at 6."""

    def base(self, top: Tensor) -> Tensor:
        """The frames' share: (F, C, h, w) features to (F, C, h, w)."""
        return self._encoder.pix_feat_proj(top)

    def __call__(
        self,
        base: Tensor,
        logits: Tensor,
        score: Tensor,
        prompted: bool,  # noqa: FBT001 (the compiler's wrapper passes positions)
    ) -> Tensor:
        """Memories (b, T, Cm) of masks (b, 4h, 4w), on frames of these bases (b, C, h, w).

        Rounded to bfloat16, as the official predictor stores them (sam2_video_predictor.py:781).
        """
        model = self._model
        large = functional.interpolate(
            logits[:, None], size=self._size, mode="bilinear", align_corners=False
        )
        binary = prompted and model.binarize_mask_from_pts_for_mem_enc
        mask = (large > 0).float() if binary else large.sigmoid()
        mask = mask * model.sigmoid_scale_for_mem_enc + model.sigmoid_bias_for_mem_enc
        fused = self._encoder.fuser(base + self._encoder.mask_downsampler(mask))
        memory = self._encoder.out_proj(fused)
        if model.no_obj_embed_spatial is not None:
            absent = (score <= 0).float()[:, None, None, None]
            memory = memory + absent * model.no_obj_embed_spatial[..., None, None]
        return memory.to(torch.bfloat16).flatten(2).transpose(1, 2)

    def pointer_positions(self, distances: Tensor) -> Tensor:
        """(...,) distances in time, as shares of the longest, to (..., Cm) (sam2_base.py:612)."""
        model = self._model
        if not model.add_tpos_enc_to_obj_ptrs:
            return distances.new_zeros(*distances.shape, model.mem_dim)
        dim = model.hidden_dim if model.proj_tpos_enc_in_obj_ptrs else model.mem_dim
        frequency = torch.arange(dim // 2, dtype=torch.float32, device=distances.device)
        frequency = 10000 ** (2 * (frequency // 2) / (dim // 2))
        angle = distances[..., None] / frequency
        return model.obj_ptr_tpos_proj(torch.cat([angle.sin(), angle.cos()], -1))


def tokens_of(position_encoding: Any, dim: int, grid: int, predictor: Any) -> Tensor:
    """The encoding of every place on the grid, (T, dim)."""
    blank = torch.zeros(1, dim, grid, grid, device=predictor.device)
    encoded: Tensor = position_encoding(blank)
    return encoded[0].flatten(1).T.contiguous()
