"""SAM 3's mask downsampler: masks are resized before they are encoded as memories.

An image of 1008 px has 72 x 72 tokens, and the downsampler divides sides by 16, so masks are
resized to 1152 px (facebookresearch/sam3, sam3/model/memory.py, `SimpleMaskDownSampler`).
"""

from collections.abc import Sequence
from typing import Any

from sam2.modeling.memory_encoder import MaskDownSampler
from torch import Tensor
from torch.nn import functional


class ResizedMaskDownSampler(MaskDownSampler):  # type: ignore[misc]
    """`MaskDownSampler` of masks of one size."""

    def __init__(self, *, interpol_size: Sequence[int], **settings: Any) -> None:
        """Take the sides (height, width) to resize to, and the settings of `MaskDownSampler`."""
        super().__init__(**settings)
        self.interpol_size = tuple(interpol_size)

    def forward(self, masks: Tensor) -> Tensor:
        """Downsample masks (b, 1, S, S), in [-10, 10], to (b, C, h, w)."""
        resized = functional.interpolate(
            masks, size=self.interpol_size, mode="bilinear", align_corners=False, antialias=True
        )
        out: Tensor = super().forward(resized)
        return out
