"""Network of XMem (https://arxiv.org/abs/2207.07115), with the names of its published weights."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (its usual name)

from pvtt_flow.models.baselines.blocks import (
    FeatureFusion,
    MaskDecoder,
    enlarged,
    other_masks,
    repeated,
)
from pvtt_flow.models.baselines.resnet import ResNet18, ResNet50


@dataclass(frozen=True, slots=True)
class XMemWidths:
    """Numbers of channels of keys, of values and of the sensory memory, which may have none."""

    key: int = 64
    value: int = 512
    hidden: int = 64

    @classmethod
    def of(cls, state: Mapping[str, Tensor]) -> "XMemWidths":
        """Read widths from published weights; raise KeyError if these are another network's."""
        sensory = state.get("decoder.hidden_update.transform.weight")
        return cls(
            len(state["key_proj.key_proj.weight"]),
            len(state["value_encoder.fuser.block2.conv2.weight"]),
            0 if sensory is None else len(sensory) // 3,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """Frame as the network sees it."""

    key: Tensor
    """Float (1, C, h, w)."""
    shrinkage: Tensor
    """Float (1, 1, h, w), at least 1."""
    selection: Tensor
    """Float (1, C, h, w), from 0 to 1."""
    features: tuple[Tensor, Tensor, Tensor]
    """Features at strides 16, 8 and 4."""


class GatedUpdate(nn.Module):
    """Gated recurrent unit of the sensory memory.

    The new value does not depend on the gates, unlike that of the usual unit.
    """

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.transform = nn.Conv2d(channels + hidden, 3 * hidden, 3, padding=1)

    def update(self, features: Tensor, hidden: Tensor) -> Tensor:
        """Return the new state (K, hidden, h, w) of objects with features (K, channels, h, w)."""
        gates = self.transform(torch.cat([features, hidden], 1)).chunk(3, 1)
        keep, write = gates[0].sigmoid(), gates[1].sigmoid()
        return keep * hidden * (1 - write) + write * gates[2].tanh()


class MultiScaleUpdate(GatedUpdate):
    """Update of the sensory memory from what the decoder saw at three strides."""

    def __init__(self, hidden: int) -> None:
        super().__init__(256, hidden)
        self.g16_conv = nn.Conv2d(512, 256, 1)
        self.g8_conv = nn.Conv2d(256, 256, 1)
        # The logits are a channel more.
        self.g4_conv = nn.Conv2d(256 + 1, 256, 1)

    def forward(self, scales: tuple[Tensor, Tensor, Tensor], hidden: Tensor) -> Tensor:
        """Return the new state from features of objects at strides 16, 8 and 4."""
        stride16, stride8, stride4 = scales
        mixed = (
            self.g16_conv(stride16)
            + self.g8_conv(F.avg_pool2d(stride8, 2))
            + self.g4_conv(F.avg_pool2d(stride4, 4))
        )
        return self.update(mixed, hidden)


class ValueEncoder(ResNet18):
    """Encoder of an image and the masks of its objects to values."""

    def __init__(self, widths: XMemWidths) -> None:
        super().__init__(masks=2, bias=False)
        self.fuser = FeatureFusion(1024 + 256, widths.value)
        if widths.hidden:
            self.hidden_reinforce = GatedUpdate(widths.value, widths.hidden)


class KeyProjection(nn.Module):
    """Projection of an image's features to keys, and to how keys are compared."""

    def __init__(self, key: int) -> None:
        super().__init__()
        self.key_proj = nn.Conv2d(1024, key, 3, padding=1)
        self.d_proj = nn.Conv2d(1024, 1, 3, padding=1)
        self.e_proj = nn.Conv2d(1024, key, 3, padding=1)


class Decoder(MaskDecoder):
    """Decoder of what was read from the memory and of the sensory memory."""

    def __init__(self, widths: XMemWidths) -> None:
        super().__init__()
        self.fuser = FeatureFusion(1024 + widths.value + widths.hidden, 512)
        if widths.hidden:
            self.hidden_update = MultiScaleUpdate(widths.hidden)


class XMemNetwork(nn.Module):
    """XMem without its memories."""

    def __init__(self, widths: XMemWidths) -> None:
        super().__init__()
        self.widths = widths
        self.key_encoder = ResNet50()
        self.value_encoder = ValueEncoder(widths)
        self.key_proj = KeyProjection(widths.key)
        self.decoder = Decoder(widths)

    def encode(self, image: Tensor) -> Encoded:
        """Return keys and features of an image (1, 3, H, W)."""
        features = self.key_encoder(image)
        project = self.key_proj
        return Encoded(
            project.key_proj(features[0]),
            project.d_proj(features[0]).square() + 1,
            project.e_proj(features[0]).sigmoid(),
            features,
        )

    def encode_value(
        self, image: Tensor, stride16: Tensor, masks: Tensor, hidden: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return values (K, D, h, w) of objects, and the sensory memory after a deep update.

        `masks` (K, H, W) are their probabilities.
        """
        count = len(masks)
        own = masks[:, None]
        inputs = torch.cat([repeated(image, count), own, other_masks(own)], 1)
        features = self.value_encoder(inputs)
        values = self.value_encoder.fuser(torch.cat([repeated(stride16, count), features], 1))
        if self.widths.hidden:
            hidden = self.value_encoder.hidden_reinforce.update(values, hidden)
        return values, hidden

    def segment(
        self, read: Tensor, features: tuple[Tensor, Tensor, Tensor], hidden: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return probabilities (K, H, W) of objects and their updated sensory memory.

        `read` (K, D, h, w) are values that were read. Probabilities are not aggregated.
        """
        image16, image8, image4 = features
        fused = self.decoder.fuser(torch.cat([repeated(image16, len(read)), read, hidden], 1))
        stride8, stride4, logits = self.decoder.decode(fused, image8, image4)
        if self.widths.hidden:
            scales = (fused, stride8, torch.cat([stride4, logits], 1))
            hidden = self.decoder.hidden_update(scales, hidden)
        return enlarged(logits, 4)[:, 0].sigmoid(), hidden
