"""Images that are copied to the device before a step needs them.

    prefetch thread   frame ─► page-locked memory ─► copy, resize    on a stream of their own
                                                        │ event
    scheduler         step: wait for the event on the model's stream, stack

An image stays on the device until its frame is tracked, so all shots together have a number of
places; where none is left, or where the device fails, the step copies the image.
"""

import warnings
import weakref
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from pvtt_flow.models.sam2.device_resize import DeviceResize
from pvtt_flow.models.sam2.frame_image import UploadedImage
from pvtt_flow.models.sam2.model_input import ModelInput, resize_to_square
from pvtt_flow.models.sam2.tensors import to_device

ToDevice: TypeAlias = Callable[[NDArray[np.uint8], int], torch.Tensor]
"""Stretches uint8 (H, W, 3) to (S, S, 3) for a side S, and copies it to the device."""

# Share of a device's memory for images that wait: 64 shots at 1024 px have 3.4 GB, of 80.
_SHARE_OF_MEMORY = 1 / 16
_CPU_PLACES = 64


class FrameUploads:
    """Uploads of all shots; several threads may call it."""

    def __init__(
        self, copy: ToDevice, num_places: int, stream: torch.cuda.Stream | None = None
    ) -> None:
        """Copy at most `num_places` images at a time by `copy`, on a stream."""
        self._copy = copy
        self._stream = stream
        # Taken and given back without a lock, since an image may end in any thread.
        self._places = deque[None]([None] * num_places)
        self.num_failed = 0
        """Images that stayed on the host since the device failed."""

    def __call__(self, rgb: NDArray[np.uint8], size_px: int) -> UploadedImage | None:
        """Begin to upload a frame, uint8 (H, W, 3), as (S, S, 3); None if it stays on the host."""
        try:
            self._places.pop()
        except IndexError:
            return None
        try:
            image = self._uploaded(rgb, size_px)
        except RuntimeError as error:
            # Full or broken, which is for the tracking step to find; the frame is good.
            self._places.append(None)
            self.num_failed += 1
            warnings.warn(
                "frames are copied to the device by its step, which is slower, since a copy "
                f"failed: {str(error).partition(chr(10))[0]}",
                RuntimeWarning,
                stacklevel=2,
            )
            return None
        weakref.finalize(image, self._places.append, None).atexit = False
        return image

    @property
    def num_places(self) -> int:
        """Number of images that there is still room for."""
        return len(self._places)

    def _uploaded(self, rgb: NDArray[np.uint8], size_px: int) -> UploadedImage:
        with torch.cuda.stream(self._stream):
            pixels = self._copy(rgb, size_px)
            copied = None if self._stream is None else self._stream.record_event()
        return UploadedImage(pixels, copied)


def input_on_device(
    model_input: ModelInput, device: torch.device, *, resizes: bool, uploads: bool
) -> ModelInput:
    """Return the input whose frames are resized on the device, uploaded ahead, or both.

    One stream does both, as they share tensors.
    """
    stream = torch.cuda.Stream(device) if device.type == "cuda" else None
    copy: ToDevice = partial(_resized_on_host, device)
    if resizes:
        resize = DeviceResize(device, stream)
        model_input, copy = replace(model_input, resize=resize), resize.on_device
    if uploads:
        places = num_places(device, model_input.size_px)
        model_input = replace(model_input, upload=FrameUploads(copy, places, stream))
    return model_input


def num_places(device: torch.device, size_px: int) -> int:
    """Return how many images may wait on a device."""
    if device.type != "cuda":
        return _CPU_PLACES
    total = torch.cuda.get_device_properties(device).total_memory
    return int(total * _SHARE_OF_MEMORY) // (3 * size_px**2)


def _resized_on_host(device: torch.device, rgb: NDArray[np.uint8], size_px: int) -> torch.Tensor:
    # A copy, since torch warns of arrays that cannot be written.
    return to_device(torch.from_numpy(resize_to_square(rgb, size_px).copy()), device)
