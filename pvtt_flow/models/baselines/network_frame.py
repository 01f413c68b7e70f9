"""Frames and masks in the size that a baseline's network takes, and probabilities back from it.

Frames are those of the official evaluations: the shorter side is `SHORT_SIDE_PX`, values are
normalized as for ImageNet, and zeros around them make sides that 16 divides. Smaller frames are not
enlarged, and large ones are resized with antialiasing, as torchvision does now.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 (its usual name)

SHORT_SIDE_PX = 480
_STRIDE = 16
_MEAN = 0.485, 0.456, 0.406
_STD = 0.229, 0.224, 0.225

Interpolation = Literal["bilinear", "bicubic"]


@dataclass(frozen=True, slots=True)
class FrameFormat:
    """Sizes of the frames of a shot at display (H, W) and in the network (h, w), in pixels."""

    display: tuple[int, int]
    inner: tuple[int, int]
    padding: tuple[int, int, int, int]
    """Zeros on the left, on the right, above and below (h, w)."""

    @classmethod
    def of(cls, display: tuple[int, int]) -> "FrameFormat":
        """Return the format of frames of a display size."""
        short = min(display)
        inner = display
        if short > SHORT_SIDE_PX:
            inner = (display[0] * SHORT_SIDE_PX // short, display[1] * SHORT_SIDE_PX // short)
        above, below = _halves(-inner[0] % _STRIDE)
        left, right = _halves(-inner[1] % _STRIDE)
        return cls(display, inner, (left, right, above, below))

    def image(self, rgb: NDArray[np.uint8], mode: Interpolation, device: torch.device) -> Tensor:
        """Return a frame, RGB (H, W, 3), as float (1, 3, h', w')."""
        # A copy: frames of a decoder are read-only.
        pixels = torch.tensor(rgb, device=device).permute(2, 0, 1)[None].float() / 255
        mean, std = (pixels.new_tensor(v).view(1, 3, 1, 1) for v in (_MEAN, _STD))
        pixels = (pixels - mean) / std
        if self.inner != self.display:
            pixels = F.interpolate(
                pixels, self.inner, mode=mode, align_corners=False, antialias=True
            )
        return F.pad(pixels, self.padding)

    def masks(self, masks: list[NDArray[np.bool_]], device: torch.device) -> Tensor:
        """Return masks (H, W) of K objects as float (K, h', w') of 0 and 1."""
        found = torch.tensor(np.stack(masks), device=device)[None].float()
        if self.inner != self.display:
            found = F.interpolate(found, self.inner, mode="nearest")
        return F.pad(found, self.padding)[0]

    def at_display(self, probabilities: Tensor) -> NDArray[np.float32]:
        """Return probabilities (K, h', w') at display size, float32 (K, H, W)."""
        left, _, above, _ = self.padding
        height, width = self.inner
        found = probabilities[None, :, above : above + height, left : left + width]
        if self.inner != self.display:
            found = F.interpolate(found, self.display, mode="bilinear", align_corners=False)
        array: NDArray[np.float32] = found[0].float().cpu().numpy()
        return array


def _halves(pixels: int) -> tuple[int, int]:
    return pixels // 2, pixels - pixels // 2
