"""EfficientTAM's image encoder: a plain vision transformer and a neck of one level.

Modules have the names of efficient_track_anything/modeling/backbones (`vitdet.py`, `ViT`, and
`image_encoder.py`, `ViTDetNeck`), so that its checkpoints load. A block of it is a block of SAM 2's
Hiera that never pools.
"""

from collections.abc import Collection, Sequence
from typing import Any

import torch
from sam2.modeling.backbones.hieradet import MultiScaleBlock
from sam2.modeling.backbones.utils import PatchEmbed
from sam2.modeling.sam2_utils import LayerNorm2d
from torch import Tensor, nn
from torch.nn import functional

from pvtt_flow.models.sam2.image_encoder import multi_scale_block

# Side of the patches' grid in pretraining, 224 px in patches of 16; one more embedding is that of
# the class token.
_PRETRAINED_SIDE = 14


class PlainVit(nn.Module):
    """The trunk `ViT` with windowed blocks and some that attend to the whole image."""

    def __init__(  # noqa: PLR0913 (the keys of a config)
        self,
        *,
        patch_size: int = 16,
        embed_dim: int = 768,
        depth: int = 12,
        num_heads: int = 12,
        mlp_ratio: float = 4.0,
        window_size: int = 14,
        window_block_indexes: Collection[int] = (0, 1, 3, 4, 6, 7, 9, 10),
        qkv_bias: bool = True,
        use_rel_pos: bool = False,
        drop_path_rate: float = 0.0,
    ) -> None:
        """Take the settings of the published configs; raise ValueError for another kind of ViT."""
        super().__init__()
        if not qkv_bias or use_rel_pos or drop_path_rate:
            raise ValueError(
                "a ViT must have qkv_bias=True, use_rel_pos=False and drop_path_rate=0, got "
                f"{qkv_bias}, {use_rel_pos} and {drop_path_rate}"
            )
        if depth - 1 in window_block_indexes:
            raise ValueError(f"block {depth - 1}, the last one, must not be in a window")
        size = patch_size, patch_size
        self.patch_embed = PatchEmbed(size, size, (0, 0), embed_dim=embed_dim)
        self.pos_embed = nn.Parameter(torch.zeros(1, _PRETRAINED_SIDE**2 + 1, embed_dim))
        self.blocks = nn.ModuleList(
            MultiScaleBlock(
                embed_dim,
                embed_dim,
                num_heads,
                mlp_ratio,
                window_size=window_size if index in window_block_indexes else 0,
            )
            for index in range(depth)
        )
        self.channel_list = [embed_dim]

    def position_embeddings(self, side: int) -> Tensor:
        """Return the embeddings (1, side, side, C) of a grid of patches."""
        pretrained = self.pos_embed[:, 1:].unflatten(1, (_PRETRAINED_SIDE,) * 2).movedim(-1, 1)
        if side == _PRETRAINED_SIDE:
            return pretrained.movedim(1, -1)
        resized = functional.interpolate(
            pretrained, size=(side, side), mode="bicubic", align_corners=False
        )
        return resized.movedim(1, -1)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Encode normalized images (F, 3, S, S); return one feature map (F, C, h, w)."""
        x = self.patch_embed(images)
        x = x + self.position_embeddings(x.shape[1])
        for block in self.blocks:
            x = block(x)
        return [x.movedim(-1, 1)]


class PlainVitNeck(nn.Module):
    """The neck `ViTDetNeck`: two convolutions, each with a layer norm."""

    def __init__(
        self,
        position_encoding: nn.Module,
        d_model: int,
        backbone_channel_list: Sequence[int],
        neck_norm: str | None = None,
    ) -> None:
        """Take the settings of the published configs; raise ValueError for more than one level."""
        super().__init__()
        (channels,) = backbone_channel_list
        if neck_norm is None:
            raise ValueError("a neck must have neck_norm=LN, got null")
        self.position_encoding = position_encoding
        self.backbone_channel_list = list(backbone_channel_list)
        self.d_model = d_model
        level = nn.Sequential()
        level.add_module("conv_1x1", nn.Conv2d(channels, d_model, 1, bias=False))
        level.add_module("norm_0", LayerNorm2d(d_model))
        level.add_module("conv_3x3", nn.Conv2d(d_model, d_model, 3, padding=1, bias=False))
        level.add_module("norm_1", LayerNorm2d(d_model))
        self.convs = nn.ModuleList([level])

    def forward(self, levels: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Return features and position encodings (F, D, h, w) of the one level (F, C, h, w)."""
        (level,) = levels
        features = self.convs[0](level)
        return [features], [self.position_encoding(features).to(features.dtype)]


class PlainVitEncoder:
    """The image encoder for square images of one size, without computation on padding."""

    def __init__(self, official: Any, size_px: int) -> None:
        self._trunk, self._neck = official.trunk, official.neck
        patch_px, _ = self._trunk.patch_embed.proj.stride
        with torch.no_grad():
            self._positions = self._trunk.position_embeddings(size_px // patch_px).detach()

    def __call__(self, images: Tensor) -> list[Tensor]:
        """Encode normalized float32 images (F, 3, S, S); return one level [(F, D, h, w)]."""
        x = self._trunk.patch_embed(images) + self._positions
        for block in self._trunk.blocks:
            x = multi_scale_block(block, x)
        return [self._neck.convs[0](x.movedim(-1, 1))]
