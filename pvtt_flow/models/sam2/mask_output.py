"""Mask logits to masks at display size, copied to the host while the next step runs."""

from collections.abc import Iterator, Sequence
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

_BITS = 8
# Just above the threshold (sam2/utils/misc.py, `fill_holes_in_mask_scores`).
_FILLED_LOGIT = 0.1
_MAX_PIXELS = 1 << 25


class PendingMasks:
    """Masks and numbers of a frame's objects, on their way to the host.

    On a GPU masks are resized, thresholded and packed to bits there, and all is copied while the
    next step runs: nobody waits for the device but the thread that calls `read`. On a CPU that
    thread does the work.
    """

    def __init__(
        self, logits: Tensor, numbers: Sequence[Tensor], display_px: tuple[int, int]
    ) -> None:
        """Start to copy masks of (H, W) `display_px` from float32 logits (N, 4h, 4w).

        `numbers` are tensors (N, ...), as scores.
        """
        self._display_px = display_px
        self._logits = logits
        self._numbers = numbers
        self._packed: Tensor | None = None
        self._copied: torch.cuda.Event | None = None
        if logits.is_cuda:
            self._packed = _copied_to_host(packed_masks(logits, display_px))
            self._numbers = [_copied_to_host(number) for number in numbers]
            self._copied = torch.cuda.Event()
            self._copied.record()

    def read(self) -> tuple[list[list[Any]], Iterator[NDArray[np.bool_]]]:
        """Wait for the device; return the numbers, and the mask of each object, bool (H, W)."""
        if self._copied is not None:
            self._copied.synchronize()
        return [number.tolist() for number in self._numbers], self._masks()

    def _masks(self) -> Iterator[NDArray[np.bool_]]:
        if self._packed is None:
            for logits in self._logits:
                yield _resize_and_threshold(logits[None], self._display_px)[0].numpy()
            return
        for bits in self._packed.numpy():
            yield unpack(bits, self._display_px)


def _copied_to_host(tensor: Tensor) -> Tensor:
    """Start to copy a tensor to page-locked memory."""
    host = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
    return host.copy_(tensor, non_blocking=True)


def packed_masks(
    logits: Tensor, display_px: tuple[int, int], max_pixels: int = _MAX_PIXELS
) -> Tensor:
    """Return packed masks of display size from logits (N, 4h, 4w), as `pack` has them.

    At most `max_pixels` are resized at a time, or one mask: in float32, many objects of a large
    video do not fit into a GPU's memory.
    """
    height, width = display_px
    parts = logits.split(max(1, max_pixels // (height * width)))
    return torch.cat([pack(_resize_and_threshold(part, display_px)) for part in parts])


def fill_holes(logits: Tensor, max_area_px: int) -> Tensor:
    """Fill small holes of masks, float32 logits (b, 4h, 4w); 0 fills nothing.

    A hole is an 8-connected background component of at most `max_area_px` pixels of the logits'
    grid. The official predictor does this where its CUDA extension is built (sam2/utils/misc.py,
    `fill_holes_in_mask_scores`).
    """
    if not max_area_px:
        return logits
    holes = np.stack([_find_holes(mask, max_area_px) for mask in (logits <= 0).cpu().numpy()])
    return logits.masked_fill(torch.from_numpy(holes).to(logits.device), _FILLED_LOGIT)


def pack(masks: Tensor) -> Tensor:
    """Pack bool (N, H, W) to uint8 (N, ceil(W * H / 8)), column by column, highest bit first.

    COCO run lengths go down columns, so an encoder does not have to transpose the masks.
    """
    flat = masks.transpose(1, 2).flatten(1)
    flat = functional.pad(flat, (0, -flat.shape[1] % _BITS))
    weights = 2 ** torch.arange(_BITS - 1, -1, -1, device=masks.device, dtype=torch.uint8)
    return (flat.unflatten(1, (-1, _BITS)) * weights).sum(-1, dtype=torch.uint8)


def unpack(bits: NDArray[np.uint8], display_px: tuple[int, int]) -> NDArray[np.bool_]:
    """Unpack one row of `pack` to a bool (H, W) mask in column-major memory order."""
    height, width = display_px
    flat = np.unpackbits(bits, count=height * width).view(np.bool_)
    return flat.reshape(width, height).T


def _resize_and_threshold(logits: Tensor, display_px: tuple[int, int]) -> Tensor:
    """Resize logits (N, 4h, 4w) and threshold them to bool (N, H, W).

    Follows sam2_video_predictor.py, `_get_orig_video_res_output`.
    """
    resized = functional.interpolate(
        logits[:, None], size=display_px, mode="bilinear", align_corners=False
    )
    return resized[:, 0] > 0


def _find_holes(background: NDArray[np.bool_], max_area_px: int) -> NDArray[np.bool_]:
    _, labels, stats, _ = cv2.connectedComponentsWithStats(
        background.astype(np.uint8), connectivity=8
    )
    is_small = stats[:, cv2.CC_STAT_AREA] <= max_area_px
    is_small[0] = False  # Label 0 is the object.
    holes: NDArray[np.bool_] = is_small[labels]
    return holes
