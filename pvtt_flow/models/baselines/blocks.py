"""Blocks that STCN and XMem share, with the names of their published weights.

Objects are the batch, and features of the image, a batch of one, are repeated for them.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (its usual name)


class ResBlock(nn.Module):
    """Two convolutions before which the activation stands (arxiv.org/abs/1603.05027)."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.downsample = (
            nn.Identity() if channels == out else nn.Conv2d(channels, out, 3, padding=1)
        )
        self.conv1 = nn.Conv2d(channels, out, 3, padding=1)
        self.conv2 = nn.Conv2d(out, out, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Return float (B, out, H, W)."""
        return self.downsample(x) + self.conv2(F.relu(self.conv1(F.relu(x))))


class ChannelGate(nn.Module):
    """Weights of channels, from their mean and their maximum."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = channels // 16
        self.mlp = nn.Sequential(
            nn.Flatten(), nn.Linear(channels, hidden), nn.ReLU(), nn.Linear(hidden, channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return `x` with its channels weighted."""
        gate = self.mlp(x.mean((2, 3))) + self.mlp(x.amax((2, 3)))
        return x * torch.sigmoid(gate)[:, :, None, None]


class SpatialGate(nn.Module):
    """Weights of places, from the maximum and the mean of their channels."""

    def __init__(self) -> None:
        super().__init__()
        self.spatial = nn.ModuleDict({"conv": nn.Conv2d(2, 1, 7, padding=3)})

    def forward(self, x: Tensor) -> Tensor:
        """Return `x` with its places weighted."""
        pooled = torch.cat([x.amax(1, keepdim=True), x.mean(1, keepdim=True)], 1)
        return x * torch.sigmoid(self.spatial["conv"](pooled))


class CBAM(nn.Module):
    """Convolutional block attention module (arxiv.org/abs/1807.06521)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.ChannelGate = ChannelGate(channels)
        self.SpatialGate = SpatialGate()

    def forward(self, x: Tensor) -> Tensor:
        """Return `x` with its channels and places weighted."""
        return self.SpatialGate(self.ChannelGate(x))


class FeatureFusion(nn.Module):
    """Fusion of the features of an image and of an object."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.block1 = ResBlock(channels, out)
        self.attention = CBAM(out)
        self.block2 = ResBlock(out, out)

    def forward(self, x: Tensor) -> Tensor:
        """Return float (B, out, H, W) from all features (B, channels, H, W)."""
        x = self.block1(x)
        return self.block2(x + self.attention(x))


class Upsample(nn.Module):
    """Features of objects at twice the size, with those of the image added."""

    def __init__(self, skip: int, channels: int, out: int) -> None:
        super().__init__()
        self.skip_conv = nn.Conv2d(skip, channels, 3, padding=1)
        self.out_conv = ResBlock(channels, out)

    def forward(self, image: Tensor, objects: Tensor) -> Tensor:
        """Return (K, out, H, W); `image` is (1, skip, H, W), `objects` (K, channels, H/2, W/2)."""
        return self.out_conv(self.skip_conv(image) + enlarged(objects, 2))


class MaskDecoder(nn.Module):
    """Decoder from stride 16 to logits at stride 4."""

    def __init__(self) -> None:
        super().__init__()
        self.up_16_8 = Upsample(512, 512, 256)
        self.up_8_4 = Upsample(256, 256, 256)
        self.pred = nn.Conv2d(256, 1, 3, padding=1)

    def decode(
        self, stride16: Tensor, image8: Tensor, image4: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return features of objects at strides 8 and 4, 256 channels each, and logits at 4.

        `stride16` is (K, 512, H / 16, W / 16).
        """
        stride8 = self.up_16_8(image8, stride16)
        stride4 = self.up_8_4(image4, stride8)
        return stride8, stride4, self.pred(F.relu(stride4))


def enlarged(x: Tensor, scale: int) -> Tensor:
    """Return (B, C, H, W) enlarged with bilinear interpolation."""
    return F.interpolate(x, scale_factor=scale, mode="bilinear", align_corners=False)


def repeated(image: Tensor, objects: int) -> Tensor:
    """Return features (1, C, H, W) of an image as (K, C, H, W), without a copy."""
    return image.expand(objects, -1, -1, -1)


def other_masks(masks: Tensor) -> Tensor:
    """Return for each of `masks` (K, 1, H, W) the sum of the rest."""
    return masks.sum(0, keepdim=True) - masks
