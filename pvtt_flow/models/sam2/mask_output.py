"""From the model's logits to masks at display size, without holding up the next step."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

_BITS = 8


class Masks:
    """The masks of a frame's objects, on their way to the host.

    On a GPU they are resized, thresholded and packed to bits there, and copied while the next step
    runs; on a CPU all of that is left to the thread that reads them.
    """

    def __init__(self, logits: Tensor, display_px: tuple[int, int]) -> None:
        """`logits` are float32 (N, 4h, 4w)."""
        self._display_px = display_px
        self._logits = logits
        self._bits: Tensor | None = None
        self._copied: torch.cuda.Event | None = None
        if logits.is_cuda:
            packed = pack(_resized(logits, display_px))
            self._bits = torch.empty(packed.shape, dtype=torch.uint8, pin_memory=True)
            self._bits.copy_(packed, non_blocking=True)
            self._copied = torch.cuda.Event()
            self._copied.record()

    def read(self) -> Iterator[NDArray[np.bool_]]:
        """Each object's mask, bool (H, W); waits for the device."""
        if self._bits is None or self._copied is None:
            for logits in self._logits:
                yield _resized(logits[None], self._display_px)[0].numpy()
            return
        self._copied.synchronize()
        for bits in self._bits.numpy():
            yield unpack(bits, self._display_px)


def pack(masks: Tensor) -> Tensor:
    """bool (N, H, W) to uint8 (N, ceil(W * H / 8)): column after column, the first bit highest.

    Columns, because run lengths go down them (COCO), so that no one has to transpose again.
    """
    flat = masks.transpose(1, 2).flatten(1)
    flat = functional.pad(flat, (0, -flat.shape[1] % _BITS))
    weights = 2 ** torch.arange(_BITS - 1, -1, -1, device=masks.device, dtype=torch.uint8)
    return (flat.unflatten(1, (-1, _BITS)) * weights).sum(-1, dtype=torch.uint8)


def unpack(bits: NDArray[np.uint8], display_px: tuple[int, int]) -> NDArray[np.bool_]:
    """The bool (H, W) mask of one row of `pack`, in column order in memory."""
    height, width = display_px
    flat = np.unpackbits(bits, count=height * width).view(np.bool_)
    return flat.reshape(width, height).T


def _resized(logits: Tensor, display_px: tuple[int, int]) -> Tensor:
    """(N, 4h, 4w) logits to bool (N, H, W) (sam2_video_predictor.py:382-400)."""
    resized = functional.interpolate(
        logits[:, None], size=display_px, mode="bilinear", align_corners=False
    )
    return resized[:, 0] > 0
