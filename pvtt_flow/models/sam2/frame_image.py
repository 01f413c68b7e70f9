"""Image of a frame in the model's size, on the host or on its way to the device."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pvtt_flow.models.sam2.tensors import to_device


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class UploadedImage:
    """Image that another stream has begun to copy to the device."""

    pixels: Tensor
    """uint8 (S, S, 3) RGB."""
    copied: torch.cuda.Event | None = None
    """Event after which the pixels are there; None where there are no streams."""

    def wait(self) -> Tensor:
        """Return the pixels for the current stream, which waits for them; the host does not."""
        if self.copied is not None:
            stream = torch.cuda.current_stream(self.pixels.device)
            stream.wait_event(self.copied)
            # Their memory must not be used again before this stream has read them.
            self.pixels.record_stream(stream)
        return self.pixels


FrameImage: TypeAlias = NDArray[np.uint8] | UploadedImage
"""uint8 (S, S, 3) RGB."""


def stack_images(images: Sequence[FrameImage], device: torch.device) -> Tensor:
    """Stack F images to a uint8 tensor (F, S, S, 3), on the device if one of them is there."""
    on_host = [image for image in images if isinstance(image, np.ndarray)]
    stacked = torch.from_numpy(np.stack(on_host)) if on_host else torch.empty(0)
    if len(on_host) == len(images):
        return stacked
    rows = iter(to_device(stacked, device))
    return torch.stack(
        [next(rows) if isinstance(image, np.ndarray) else image.wait() for image in images]
    )
