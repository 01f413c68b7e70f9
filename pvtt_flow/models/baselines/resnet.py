"""ResNets up to stride 16, with the names of torchvision's weights (arxiv.org/abs/1512.03385)."""

from functools import partial

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (its usual name)


class Bottleneck(nn.Module):
    """Block of a ResNet-50: `width` channels inside, four times as many outside."""

    def __init__(self, channels: int, width: int, stride: int = 1) -> None:
        super().__init__()
        conv = partial(nn.Conv2d, bias=False)
        self.conv1 = conv(channels, width, 1)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = conv(width, width, 3, stride, padding=1)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = conv(width, 4 * width, 1)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.downsample = _shortcut(channels, 4 * width, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return float (B, 4 * width, H / stride, W / stride)."""
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        return F.relu(self.bn3(self.conv3(y)) + self.downsample(x))


class BasicBlock(nn.Module):
    """Block of a ResNet-18."""

    def __init__(self, channels: int, width: int, stride: int = 1, *, bias: bool) -> None:
        super().__init__()
        conv = partial(nn.Conv2d, kernel_size=3, padding=1, bias=bias)
        self.conv1 = conv(channels, width, stride=stride)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = conv(width, width)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = _shortcut(channels, width, stride, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return float (B, width, H / stride, W / stride)."""
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + self.downsample(x))


class ResNet50(nn.Module):
    """ResNet-50 without its last layer, with the names that STCN and XMem give to its layers."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.res2 = _bottlenecks(64, 64, blocks=3, stride=1)
        self.layer2 = _bottlenecks(256, 128, blocks=4, stride=2)
        self.layer3 = _bottlenecks(512, 256, blocks=6, stride=2)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the features of an image (B, 3, H, W) at strides 16, 8 and 4.

        They have 1024, 512 and 256 channels.
        """
        stride4 = self.res2(_pool(self.bn1(self.conv1(image))))
        stride8 = self.layer2(stride4)
        return self.layer3(stride8), stride8, stride4


class ResNet18(nn.Module):
    """ResNet-18 without its last layer, for an image and `masks` more channels."""

    def __init__(self, masks: int, *, bias: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3 + masks, 64, 7, 2, padding=3, bias=bias)
        self.bn1 = nn.BatchNorm2d(64)
        self.layer1 = _basic_blocks(64, 64, 1, bias=bias)
        self.layer2 = _basic_blocks(64, 128, 2, bias=bias)
        self.layer3 = _basic_blocks(128, 256, 2, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return features (B, 256, H / 16, W / 16)."""
        return self.layer3(self.layer2(self.layer1(_pool(self.bn1(self.conv1(x))))))


def _pool(x: Tensor) -> Tensor:
    return F.max_pool2d(F.relu(x), 3, 2, padding=1)


def _shortcut(channels: int, out: int, stride: int, *, bias: bool) -> nn.Module:
    if stride == 1 and channels == out:
        return nn.Identity()
    return nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=bias), nn.BatchNorm2d(out))


def _bottlenecks(channels: int, width: int, *, blocks: int, stride: int) -> nn.Sequential:
    first = Bottleneck(channels, width, stride)
    return nn.Sequential(first, *(Bottleneck(4 * width, width) for _ in range(blocks - 1)))


def _basic_blocks(channels: int, width: int, stride: int, *, bias: bool) -> nn.Sequential:
    first = BasicBlock(channels, width, stride, bias=bias)
    return nn.Sequential(first, BasicBlock(width, width, bias=bias))
