"""Images and mask prompts in the sizes that a model takes.

The resize is Pillow's bicubic with antialiasing, which the official loader uses
(sam2/utils/misc.py, `_load_img_as_tensor`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pvtt_flow.models.sam2.frame_image import FrameImage, UploadedImage
from pvtt_flow.models.sam2.prompt_encoding import MaskFormat

Resize: TypeAlias = Callable[[NDArray[np.uint8], int], NDArray[np.uint8]]
"""Stretches uint8 (H, W, 3) to (S, S, 3) for a side S."""

Upload: TypeAlias = Callable[[NDArray[np.uint8], int], UploadedImage | None]
"""Begins to copy such an image to the device; None if it stays on the host."""


def resize_to_square(rgb: NDArray[np.uint8], size_px: int) -> NDArray[np.uint8]:
    """Stretch uint8 (H, W, 3) to (S, S, 3), as the official loader does."""
    return np.asarray(Image.fromarray(rgb).resize((size_px, size_px)))


@dataclass(frozen=True, slots=True)
class ModelInput:
    """Sizes of what a model takes."""

    size_px: int
    """Side S of its square images."""
    masks: MaskFormat
    resize: Resize = resize_to_square
    upload: Upload | None = None

    def image(self, rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Stretch a frame, uint8 (H, W, 3), to the model's image, uint8 (S, S, 3)."""
        return self.resize(rgb, self.size_px)

    def next_image(self, rgb: NDArray[np.uint8]) -> FrameImage:
        """Make the image of a frame that is tracked soon: on the device if there is room."""
        uploaded = None if self.upload is None else self.upload(rgb, self.size_px)
        return self.image(rgb) if uploaded is None else uploaded
