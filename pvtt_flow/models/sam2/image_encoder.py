"""Image encoder: SAM 2's Hiera trunk and its FPN neck, without computation on padding.

Windows that do not divide a feature map are padded before the attention
(sam2/modeling/backbones/hieradet.py, `MultiScaleBlock.forward`): at 1024 px a fifth, at 256 px up
to two thirds of the tokens of a windowed block are padding. A padded token is zero, so its query,
key and value are the projection's bias for every image. Here only real tokens are projected and the
bias is copied into the padding, which gives the same sums. Position embeddings, which never change,
are computed once.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


class ImageEncoder:
    """SAM 2's `image_encoder` (`ImageEncoder`) for square images of one size."""

    def __init__(self, official: Any, size_px: int) -> None:
        self._official = official
        self._trunk = official.trunk
        grid_side = -(-size_px // 4)
        with torch.no_grad():
            self._pos_embed: Tensor = self._trunk._get_pos_embed((grid_side, grid_side)).detach()

    def __call__(self, images: Tensor) -> list[Tensor]:
        """Encode normalized float32 images (F, 3, S, S).

        Returns the pyramid `backbone_fpn`: [(F, D, S/4, S/4), (F, D, S/8, S/8), (F, D, S/16,
        S/16)].
        """
        x = self._trunk.patch_embed(images) + self._pos_embed
        stages = []
        for index, block in enumerate(self._trunk.blocks):
            x = multi_scale_block(block, x)
            if index in self._trunk.stage_ends:
                stages.append(x.permute(0, 3, 1, 2))
        return fpn_neck(self._official, stages)


def fpn_neck(official: Any, stages: list[Tensor]) -> list[Tensor]:
    """Compute `FpnNeck.forward` without position encodings (backbones/image_encoder.py).

    Takes an `ImageEncoder` of sam2 and the feature maps (F, C, H, W) of its trunk, finest first.
    """
    neck = official.neck
    last = len(stages) - 1
    levels: list[Tensor] = []
    coarser: Tensor | None = None
    for i in range(last, -1, -1):
        level = neck.convs[last - i](stages[i])
        if coarser is not None and i in neck.fpn_top_down_levels:
            level = level + _upsample(coarser, neck.fpn_interp_model)
            if neck.fuse_type == "avg":
                level = level / 2
        coarser = level
        levels.insert(0, level)
    return levels[: len(levels) - official.scalp]


def _upsample(coarser: Tensor, mode: str) -> Tensor:
    align_corners = None if mode == "nearest" else False
    return functional.interpolate(
        coarser.float(), scale_factor=2.0, mode=mode, align_corners=align_corners
    )


def multi_scale_block(block: Any, x: Tensor) -> Tensor:
    """Apply a Hiera block to (F, H, W, C); with query pooling the result is (F, H/2, W/2, C')."""
    normed = block.norm1(x)
    shortcut = _pool(block.proj(normed), block.pool) if block.dim != block.dim_out else x
    x = shortcut + _window_attention(block.attn, normed, block.window_size)
    return x + block.mlp(block.norm2(x))


def _pool(x: Tensor, pool: nn.Module | None) -> Tensor:
    return x if pool is None else pool(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


def _window_attention(attention: Any, x: Tensor, window: int) -> Tensor:
    """Attend within windows of (F, H, W, C), or over the whole map when `window` is 0."""
    num_frames, height, width, _ = x.shape
    qkv = attention.qkv(x)
    if window:
        qkv = _pad_to_windows(qkv, attention.qkv.bias, window)
    rows, columns = qkv.shape[1:3]
    side: tuple[int, int] = (window, window) if window else (rows, columns)
    tiles = _window_partition(qkv, side)
    heads = attention.num_heads
    q, k, v = tiles.reshape(tiles.shape[0], side[0] * side[1], 3, heads, -1).unbind(2)
    if attention.q_pool:
        pooled = _pool(q.reshape(-1, *side, heads * q.shape[-1]), attention.q_pool)
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


def _pad_to_windows(qkv: Tensor, bias: Tensor, window: int) -> Tensor:
    """Pad (F, H, W, D) to whole windows with the projection of a zero token, the bias (D,)."""
    num_frames, height, width, dim = qkv.shape
    more_rows, more_columns = -height % window, -width % window
    if not more_rows and not more_columns:
        return qkv
    padded = qkv.new_empty(num_frames, height + more_rows, width + more_columns, dim)
    padded[:, :height, :width] = qkv
    padded[:, height:] = bias
    padded[:, :height, width:] = bias
    return padded


def _window_partition(x: Tensor, side: tuple[int, int]) -> Tensor:
    """Split (F, H, W, D) into windows: (F * windows, side[0] * side[1], D)."""
    num_frames, rows, columns, dim = x.shape
    split = x.view(num_frames, rows // side[0], side[0], columns // side[1], side[1], dim)
    return split.transpose(2, 3).reshape(-1, side[0] * side[1], dim)
