"""SAM 3's image encoder: a plain vision transformer with rotary encoding, and the tracker's neck.

Computes the same function as facebookresearch/sam3, sam3/model/vitdet.py, `ViT`, and
sam3/model/necks.py, `Sam3DualViTDetNeck`, whose names modules have. Of the two necks it has that of
the tracker, without the coarsest level, which the tracker does not read.
"""

from collections.abc import Collection, Sequence
from typing import Any

import torch
from sam2.modeling.sam2_utils import MLP
from torch import Tensor, nn
from torch.nn import functional

from pvtt_flow.errors import ConfigError
from pvtt_flow.models.sam2.memory_attention import apply_rotary_in_real_numbers

_EPSILON = 1e-5
_ROPE_THETA = 10000.0


class RotaryVit(nn.Module):
    """The trunk `ViT`: blocks that attend within windows, and some to the whole image."""

    def __init__(  # noqa: PLR0913 (the keys of a config)
        self,
        *,
        img_size: int = 1008,
        pretrain_img_size: int = 336,
        patch_size: int = 14,
        embed_dim: int = 1024,
        depth: int = 32,
        num_heads: int = 16,
        mlp_ratio: float = 4.625,
        window_size: int = 24,
        global_att_blocks: Collection[int] = (7, 15, 23, 31),
    ) -> None:
        """Take the settings in which the published model may differ from a smaller one.

        Raises ValueError for images that are not whole patches.
        """
        super().__init__()
        if img_size % patch_size:
            raise ValueError(f"img_size must be a multiple of {patch_size}, got {img_size}")
        self.img_size = img_size
        self.channel_list = [embed_dim]
        self.grid_side = img_size // patch_size
        """Patches on a side of an image."""
        self.patch_embed = nn.Conv2d(3, embed_dim, patch_size, patch_size, bias=False)
        self.pos_embed = nn.Parameter(
            torch.zeros(1, (pretrain_img_size // patch_size) ** 2, embed_dim)
        )
        nn.init.trunc_normal_(self.pos_embed, std=0.02)
        self.ln_pre = nn.LayerNorm(embed_dim, eps=_EPSILON)
        hidden_dim, head_dim = int(embed_dim * mlp_ratio), embed_dim // num_heads
        self.blocks = nn.ModuleList(
            _Block(embed_dim, num_heads, hidden_dim, 0 if i in global_att_blocks else window_size)
            for i in range(depth)
        )
        window = _rotations(window_size, head_dim, 1.0)
        # In the whole image positions are scaled to those of a window.
        whole = _rotations(self.grid_side, head_dim, window_size / self.grid_side)
        self.register_buffer("window_rotations", window, persistent=False)
        self.register_buffer("global_rotations", whole, persistent=False)

    def position_embeddings(self) -> Tensor:
        """Return the embeddings (1, h, w, C) of the patches: those of pretraining, repeated."""
        side = round(self.pos_embed.shape[1] ** 0.5)
        repeats = -(-self.grid_side // side)
        tiled = self.pos_embed.unflatten(1, (side, side)).repeat(1, repeats, repeats, 1)
        return tiled[:, : self.grid_side, : self.grid_side]

    def forward(self, images: Tensor) -> list[Tensor]:
        """Encode normalized images (F, 3, S, S); return one feature map (F, C, h, w)."""
        x = self.patch_embed(images).movedim(1, -1)
        x = self.ln_pre(x + self.position_embeddings())
        for block in self.blocks:
            x = block(x, self.window_rotations if block.window_size else self.global_rotations)
        return [x.movedim(-1, 1)]


class _Block(nn.Module):
    """`Block`: attention within windows, or to the whole image if `window_size` is 0, and MLP."""

    def __init__(self, dim: int, num_heads: int, hidden_dim: int, window_size: int) -> None:
        super().__init__()
        self.window_size = window_size
        self.norm1 = nn.LayerNorm(dim, eps=_EPSILON)
        self.attn = _Attention(dim, num_heads)
        self.norm2 = nn.LayerNorm(dim, eps=_EPSILON)
        self.mlp = MLP(dim, hidden_dim, dim, num_layers=2, activation=nn.GELU)

    def forward(self, x: Tensor, rotations: Tensor) -> Tensor:
        """Apply the block to (F, h, w, C)."""
        x = x + self._attend(self.norm1(x), rotations)
        return x + self.mlp(self.norm2(x))

    def _attend(self, x: Tensor, rotations: Tensor) -> Tensor:
        _, height, width, _ = x.shape
        side = self.window_size
        if not side:
            attended: Tensor = self.attn(x.flatten(1, 2), rotations)
            return attended.unflatten(1, (height, width))
        padded = functional.pad(x, (0, 0, 0, -width % side, 0, -height % side))
        # (F, rows, side, columns, side, C) to windows, and back.
        windows = padded.unflatten(1, (-1, side)).unflatten(3, (-1, side)).transpose(2, 3)
        attended = self.attn(windows.flatten(3, 4).flatten(0, 2), rotations)
        attended = attended.view(windows.shape).transpose(2, 3).flatten(3, 4).flatten(1, 2)
        return attended[:, :height, :width]


class _Attention(nn.Module):
    """`Attention` with rotary encoding of queries and keys."""

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor, rotations: Tensor) -> Tensor:
        """Attend among the tokens (b, T, C) of a window; `rotations` are complex64 (T, D / 2)."""
        q, k, v = self.qkv(x).unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        q, k = (_rotate(heads, rotations) for heads in (q, k))
        attended = functional.scaled_dot_product_attention(q, k, v)
        out: Tensor = self.proj(attended.transpose(1, 2).flatten(2))
        return out


class TrackerNeck(nn.Module):
    """The neck `Sam3DualViTDetNeck` for the tracker (`sam2_convs`): a pyramid from one map."""

    def __init__(
        self,
        position_encoding: nn.Module,
        d_model: int,
        backbone_channel_list: Sequence[int],
        scale_factors: Sequence[float] = (4.0, 2.0, 1.0),
    ) -> None:
        """Make a level for each scale factor, 1, 2 or 4, finest first."""
        super().__init__()
        (channels,) = backbone_channel_list
        self.position_encoding = position_encoding
        self.backbone_channel_list = list(backbone_channel_list)
        self.d_model = d_model
        self.convs = nn.ModuleList(_level(channels, d_model, scale) for scale in scale_factors)

    def forward(self, maps: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Return features and position encodings of each level, (F, D, h, w), from (F, C, h, w)."""
        levels = self.levels(maps)
        return levels, [self.position_encoding(level).to(level.dtype) for level in levels]

    def levels(self, maps: list[Tensor]) -> list[Tensor]:
        """Return the features of each level, finest first."""
        (features,) = maps
        return [level(features) for level in self.convs]


class RotaryVitEncoder:
    """The image encoder for square images of one size."""

    def __init__(self, official: Any, size_px: int) -> None:
        """Take the modules; raise ConfigError if they are for images of another size."""
        self._trunk, self._neck = official.trunk, official.neck
        if self._trunk.img_size != size_px:
            raise ConfigError(
                f"$.tracker.config must have the same image_encoder.trunk.img_size and image_size, "
                f"got {self._trunk.img_size} and {size_px}"
            )

    def __call__(self, images: Tensor) -> list[Tensor]:
        """Encode normalized float32 images (F, 3, S, S); return the pyramid, finest first."""
        levels: list[Tensor] = self._neck.levels(self._trunk(images))
        return levels


def _level(channels: int, d_model: int, scale: float) -> nn.Sequential:
    level = nn.Sequential()
    half, quarter = channels // 2, channels // 4
    if scale == 4.0:
        level.add_module("dconv_2x2_0", nn.ConvTranspose2d(channels, half, 2, 2))
        level.add_module("gelu", nn.GELU())
        level.add_module("dconv_2x2_1", nn.ConvTranspose2d(half, quarter, 2, 2))
    elif scale == 2.0:
        level.add_module("dconv_2x2", nn.ConvTranspose2d(channels, half, 2, 2))
    elif scale != 1.0:
        raise ValueError(f"a scale factor must be 1, 2 or 4, got {scale}")
    level.add_module("conv_1x1", nn.Conv2d(channels // int(scale), d_model, 1))
    level.add_module("conv_3x3", nn.Conv2d(d_model, d_model, 3, padding=1))
    return level


def _rotations(side: int, head_dim: int, step: float) -> Tensor:
    """Return rotations of channel pairs for a grid, complex64 (side * side, head_dim / 2).

    The first half of the pairs turns with x, the other half with y (vitdet.py,
    `compute_axial_cis`); neighbors are `step` apart.
    """
    frequencies = _ROPE_THETA ** -(torch.arange(0, head_dim, 4).float() / head_dim)
    angles = step * torch.arange(side).float()[:, None] * frequencies
    by_x = angles[None].expand(side, -1, -1)
    both = torch.cat([by_x, by_x.transpose(0, 1)], -1).flatten(0, 1)
    return torch.polar(torch.ones_like(both), both)


def _rotate(heads: Tensor, rotations: Tensor) -> Tensor:
    """Rotate queries or keys (b, heads, T, D)."""
    return apply_rotary_in_real_numbers(heads.flatten(0, 1), rotations).view(heads.shape)
