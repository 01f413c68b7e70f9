"""The image encoder: SAM 2's Hiera trunk and its neck, without the work on padding.

Windows that do not divide a feature map are padded before the attention (sam2's
modeling/backbones/hieradet.py, `MultiScaleBlock.forward`): at 1024 px a fifth, at 256 px up to
two thirds of the tokens of a windowed block are padding. A padded token is zero, so its query, key
and value are the projection's bias, whatever the picture. Here only real tokens are projected and
the bias is written beside them: the same sums. What never changes (position embeddings) is
computed once.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


class Trunk:
    """The `image_encoder` of a SAM 2, for square images of one size."""

    def __init__(self, image_encoder: Any, size_px: int) -> None:
        self._encoder = image_encoder
        self._hiera = image_encoder.trunk
        grid = -(-size_px // 4)
        with torch.no_grad():
            self._position: Tensor = self._hiera._get_pos_embed((grid, grid)).detach()

    def __call__(self, images: Tensor) -> list[Tensor]:
        """Normalised float (F, 3, S, S) to the pyramid [(F, D, S/4, S/4), (S/8), (S/16)]."""
        x = self._hiera.patch_embed(images) + self._position
        stages = []
        for index, block in enumerate(self._hiera.blocks):
            x = _block(block, x)
            if index in self._hiera.stage_ends:
                stages.append(x.permute(0, 3, 1, 2))
        return self._neck(stages)

    def _neck(self, stages: list[Tensor]) -> list[Tensor]:
        """sam2's `FpnNeck.forward` without position encodings: coarse levels flow down."""
        neck = self._encoder.neck
        last = len(stages) - 1
        levels: list[Tensor] = []
        coarse: Tensor | None = None
        for i in range(last, -1, -1):
            level = neck.convs[last - i](stages[i])
            if coarse is not None and i in neck.fpn_top_down_levels:
                level = level + _upsampled(coarse, neck.fpn_interp_model)
                if neck.fuse_type == "avg":
                    level = level / 2
            coarse = level
            levels.insert(0, level)
        return levels[: len(levels) - self._encoder.scalp]


def _upsampled(coarse: Tensor, mode: str) -> Tensor:
    corners = None if mode == "nearest" else False
    return functional.interpolate(
        coarse.float(), scale_factor=2.0, mode=mode, align_corners=corners
    )


def _block(block: Any, x: Tensor) -> Tensor:
    """One Hiera block on (F, H, W, C); with a query pool (F, H/2, W/2, C')."""
    normed = block.norm1(x)
    shortcut = _pooled(block.proj(normed), block.pool) if block.dim != block.dim_out else x
    x = shortcut + _attention(block.attn, normed, block.window_size)
    return x + block.mlp(block.norm2(x))


def _pooled(x: Tensor, pool: nn.Module | None) -> Tensor:
    return x if pool is None else pool(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


def _attention(attention: Any, x: Tensor, window: int) -> Tensor:
    """Attention inside windows of (F, H, W, C), or over the whole map when `window` is 0."""
    num_frames, height, width, _ = x.shape
    qkv = attention.qkv(x)
    if window:
        qkv = _padded(qkv, attention.qkv.bias, window)
    rows, columns = qkv.shape[1:3]
    side: tuple[int, int] = (window, window) if window else (rows, columns)
    tiles = _tiles(qkv, side)
    heads = attention.num_heads
    q, k, v = tiles.reshape(tiles.shape[0], side[0] * side[1], 3, heads, -1).unbind(2)
    if attention.q_pool:
        pooled = _pooled(q.reshape(-1, *side, heads * q.shape[-1]), attention.q_pool)
        side = pooled.shape[1], pooled.shape[2]
        q = pooled.reshape(q.shape[0], side[0] * side[1], heads, -1)
        height, width, rows, columns = height // 2, width // 2, rows // 2, columns // 2
    y = functional.scaled_dot_product_attention(
        q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
    ).transpose(1, 2)
    y = y.reshape(num_frames, rows // side[0], columns // side[1], *side, -1)
    y = y.transpose(2, 3).reshape(num_frames, rows, columns, -1)[:, :height, :width]
    out: Tensor = attention.proj(y.contiguous())
    return out


def _padded(qkv: Tensor, bias: Tensor, window: int) -> Tensor:
    """(F, H, W, D) padded to whole windows by what a zero token projects to."""
    num_frames, height, width, dim = qkv.shape
    more_rows, more_columns = -height % window, -width % window
    if not more_rows and not more_columns:
        return qkv
    padded = qkv.new_empty(num_frames, height + more_rows, width + more_columns, dim)
    padded[:, :height, :width] = qkv
    padded[:, height:] = bias
    padded[:, :height, width:] = bias
    return padded


def _tiles(x: Tensor, side: tuple[int, int]) -> Tensor:
    """(F, H, W, D) to (F * windows, h * w, D)."""
    num_frames, rows, columns, dim = x.shape
    split = x.view(num_frames, rows // side[0], side[0], columns // side[1], side[1], dim)
    return split.transpose(2, 3).reshape(-1, side[0] * side[1], dim)
