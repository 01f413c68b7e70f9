"""Network of STCN (https://arxiv.org/abs/2106.05210), with the names of its published weights."""

import torch
from torch import Tensor, nn

from pvtt_flow.models.baselines.blocks import (
    FeatureFusion,
    MaskDecoder,
    ResBlock,
    enlarged,
    other_masks,
    repeated,
)
from pvtt_flow.models.baselines.resnet import ResNet18, ResNet50

_KEY_CHANNELS = 64
_VALUE_CHANNELS = 512


class ValueEncoder(ResNet18):
    """Encoder of an image and the masks of its objects to values."""

    def __init__(self) -> None:
        super().__init__(masks=2, bias=True)
        self.fuser = FeatureFusion(256 + 1024, _VALUE_CHANNELS)


class KeyProjection(nn.Module):
    """Projection of an image's features to keys."""

    def __init__(self) -> None:
        super().__init__()
        self.key_proj = nn.Conv2d(1024, _KEY_CHANNELS, 3, padding=1)


class Decoder(MaskDecoder):
    """Decoder of what was read from the memory."""

    def __init__(self) -> None:
        super().__init__()
        self.compress = ResBlock(1024, 512)


class StcnNetwork(nn.Module):
    """STCN without its memory."""

    def __init__(self) -> None:
        super().__init__()
        self.key_encoder = ResNet50()
        self.value_encoder = ValueEncoder()
        self.key_proj = KeyProjection()
        self.key_comp = nn.Conv2d(1024, 512, 3, padding=1)
        self.decoder = Decoder()

    def encode(self, image: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
        """Return key (1, 64, h, w) and features at strides 16, 8 and 4 of an image (1, 3, H, W)."""
        features = self.key_encoder(image)
        return self.key_proj.key_proj(features[0]), features

    def encode_value(self, image: Tensor, stride16: Tensor, masks: Tensor) -> Tensor:
        """Return values (K, 512, h, w) of objects with probabilities (K, H, W)."""
        count = len(masks)
        own = masks[:, None]
        inputs = torch.cat([repeated(image, count), own, other_masks(own)], 1)
        features = self.value_encoder(inputs)
        return self.value_encoder.fuser(torch.cat([features, repeated(stride16, count)], 1))

    def segment(self, read: Tensor, features: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        """Return probabilities (K, H, W) of objects from values (K, 512, h, w) that were read.

        They are not aggregated.
        """
        stride16, stride8, stride4 = features
        query = repeated(self.key_comp(stride16), len(read))
        compressed = self.decoder.compress(torch.cat([read, query], 1))
        logits = self.decoder.decode(compressed, stride8, stride4)[2]
        return enlarged(logits, 4)[:, 0].sigmoid()
