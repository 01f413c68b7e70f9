"""Memory encoder, and the position encodings of memories and object pointers.

EdgeTAM's has a perceiver behind it, whose tokens are the memory (`architectures/perceiver.py`).
Follows sam2/modeling/memory_encoder.py, `MemoryEncoder`, and sam2/modeling/sam2_base.py,
`SAM2Base._encode_new_memory` and `_prepare_memory_conditioned_features`.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


class MemoryEncoder:
    """Official memory encoder, split so that the objects of a frame share its pixel features."""

    def __init__(self, predictor: Any, grid_side: int) -> None:
        self._predictor = predictor
        self._official = predictor.memory_encoder
        self._image_size = (predictor.image_size, predictor.image_size)
        self._cell_positions = encode_grid_positions(
            self._official.position_encoding, predictor.mem_dim, grid_side, predictor
        )
        self._perceiver = getattr(predictor, "spatial_perceiver", None)
        self.memory_side: int = getattr(self._perceiver, "grid_side", grid_side)
        """Side of the grid on which the first tokens of a memory lie."""
        self.token_positions = self._cell_positions
        """(M, Cm): spatial position encoding of a memory's tokens."""
        if self._perceiver is not None:
            self.token_positions = self._perceiver.token_positions()
        self.temporal_positions: Tensor = predictor.maskmem_tpos_enc[:, 0, 0].detach()
        """(7, Cm): temporal position encoding (`maskmem_tpos_enc`); rows 0 to 5 are for memories
        of 1 to 6 frames ago, row 6 is for conditioning frames."""

    def project_pixels(self, vision_features: Tensor) -> Tensor:
        """Project image features (F, C, h, w) to the pixel features (F, C, h, w) of memories."""
        return self._official.pix_feat_proj(vision_features)

    def __call__(
        self,
        pixel_features: Tensor,
        logits: Tensor,
        object_score: Tensor,
        *,
        is_conditioning: bool,
    ) -> Tensor:
        """Encode masks, float32 logits (b, 4h, 4w), on pixel features (b, C, h, w) as memories.

        `object_score` is float32 (b,). Masks of conditioning frames are binarized first. Returns
        (b, M, Cm), rounded to bfloat16 as the official predictor stores memories
        (sam2_video_predictor.py, `_run_single_frame_inference`).
        """
        predictor = self._predictor
        large = functional.interpolate(
            logits[:, None], size=self._image_size, mode="bilinear", align_corners=False
        )
        binarize = is_conditioning and predictor.binarize_mask_from_pts_for_mem_enc
        mask = (large > 0).float() if binarize else large.sigmoid()
        mask = mask * predictor.sigmoid_scale_for_mem_enc + predictor.sigmoid_bias_for_mem_enc
        fused = self._official.fuser(pixel_features + self._official.mask_downsampler(mask))
        memory = self._official.out_proj(fused)
        if predictor.no_obj_embed_spatial is not None:
            absent = (object_score <= 0).float()[:, None, None, None]
            memory = memory + absent * predictor.no_obj_embed_spatial[..., None, None]
        if self._perceiver is not None:
            return self._perceiver(memory, self._cell_positions).to(torch.bfloat16)
        return memory.to(torch.bfloat16).flatten(2).transpose(1, 2)

    def encode_pointer_positions(self, distances: Tensor) -> Tensor:
        """Encode the temporal positions of object pointers: (...,) to (..., Cm).

        `distances` are float32 distances in frames, divided by the longest possible distance
        (sam2/modeling/sam2_utils.py, `get_1d_sine_pe`).
        """
        predictor = self._predictor
        if not predictor.add_tpos_enc_to_obj_ptrs:
            return distances.new_zeros(*distances.shape, predictor.mem_dim)
        dim = predictor.hidden_dim if predictor.proj_tpos_enc_in_obj_ptrs else predictor.mem_dim
        frequency = torch.arange(dim // 2, dtype=torch.float32, device=distances.device)
        frequency = 10000 ** (2 * (frequency // 2) / (dim // 2))
        angle = distances[..., None] / frequency
        return predictor.obj_ptr_tpos_proj(torch.cat([angle.sin(), angle.cos()], -1))


def encode_grid_positions(
    position_encoding: Any, dim: int, grid_side: int, predictor: Any
) -> Tensor:
    """Return the official position encoding of each grid cell, (T, dim)."""
    blank = torch.zeros(1, dim, grid_side, grid_side, device=predictor.device)
    encoded: Tensor = position_encoding(blank)
    return encoded[0].flatten(1).T.contiguous()
