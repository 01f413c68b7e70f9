"""Trunks from the package `timm`, of which EdgeTAM takes RepViT-M1 (arXiv:2307.09283).

Names are those of facebookresearch/EdgeTAM, sam2/modeling/backbones/timm.py. For inference the
branches and batch norms of a block are one convolution, which gives the same sums, and tensors have
their channels last: on a CPU the image encoder then takes two thirds of the time.
"""

import re
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from pvtt_flow.errors import ConfigError
from pvtt_flow.models.sam2.image_encoder import fpn_neck

_NAME = re.compile(r"[\w.]+")


class TimmTrunk(nn.Module):
    """A network of `timm` that returns feature maps, with random weights."""

    def __init__(self, name: str, features: Sequence[str]) -> None:
        """Take timm's name of the network and its levels, `layer0` being the finest one.

        Raises ConfigError without the package, ValueError for a network that it does not have.
        """
        super().__init__()
        indices = tuple(int(feature.removeprefix("layer")) for feature in features)
        self.body = _create(name, indices)
        self.channel_list = self.body.feature_info.channels()[::-1]

    def forward(self, images: Tensor) -> list[Tensor]:
        """Encode normalized images (F, 3, S, S); return feature maps (F, C, H, W), finest first."""
        return list(self.body(images))


class TimmEncoder:
    """The image encoder: a network of `timm`, fused, and SAM 2's neck."""

    def __init__(self, official: Any, size_px: int) -> None:
        """Take the image encoder of a predictor; its trunk is fused in place."""
        from timm.utils.model import reparameterize_model

        del size_px
        self._official = official
        fused = reparameterize_model(official.trunk.body, inplace=True)
        self._body = fused.to(memory_format=torch.channels_last)

    def __call__(self, images: Tensor) -> list[Tensor]:
        """Encode normalized float32 images (F, 3, S, S); return the pyramid, finest first."""
        images = images.contiguous(memory_format=torch.channels_last)
        return fpn_neck(self._official, self._body(images))


def _create(name: str, indices: tuple[int, ...]) -> Any:
    if not _NAME.fullmatch(name):
        # With a colon timm would read a folder, or a page of a hub.
        raise ValueError(f"a network must have a name of timm, got {name}")
    try:
        from timm.models import create_model
    except ImportError as error:
        raise ConfigError(
            f"$.tracker.config names the network {name}, which needs the package timm; pip install "
            "'pvtt_flow[edgetam]' on every machine"
        ) from error
    return create_model(name, pretrained=False, features_only=True, out_indices=indices)
