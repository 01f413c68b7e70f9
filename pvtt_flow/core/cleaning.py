"""Cleaning of tracked masks: in time, then in shape. All of it is off by default."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Annotated

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from pvtt_flow.core import rle
from pvtt_flow.core.mask_shape import with_mask, with_previous_iou
from pvtt_flow.params import Params
from pvtt_flow.types import Masklet

Mask = NDArray[np.bool_]
_AREA = cv2.CC_STAT_AREA


class CleanParams(Params):
    """Cleaning of tracked masks, in the order of the keys; masks of mask prompts stay."""

    smooth_frames: Annotated[int, Field(ge=0, le=30)] = 0
    """Processed frames before and after a frame that vote on its pixels: a pixel is of the mask if
    it is in more than half of them; 0: none. Flicker goes, and so do thin parts that move."""
    close_px: Annotated[int, Field(ge=0, le=100)] = 0
    """Radius of morphological closing, which joins what is closer than twice of it, in display
    pixels; 0: none."""
    open_px: Annotated[int, Field(ge=0, le=100)] = 0
    """Radius of morphological opening, which removes what is thinner than twice of it, in display
    pixels; 0: none."""
    min_piece: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Smallest piece that is kept, as a fraction of the area of the largest one; 1: only the
    largest."""
    fill_holes: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Largest hole that is filled, as a fraction of the mask's area; 0: none."""


def cleaned(masklet: Masklet, params: CleanParams) -> Masklet:
    """Return the masklet with clean masks, and with their shapes."""
    if params == CleanParams():
        return masklet
    height_px, width_px = masklet.height_px, masklet.width_px
    given = {p.frame_index for p in masklet.prompts if p.mask_rle is not None}
    masks = (
        np.zeros((height_px, width_px), np.bool_)
        if frame.rle is None
        else rle.decode(frame.rle, height_px, width_px)
        for frame in masklet.frames
    )
    steady = smooth(masks, params.smooth_frames) if params.smooth_frames else masks
    frames = (
        frame if frame.frame_index in given else with_mask(frame, clean_shape(mask, params))
        for frame, mask in zip(masklet.frames, steady, strict=True)
    )
    return replace(masklet, frames=with_previous_iou(frames, height_px, width_px))


def smooth(masks: Iterable[Mask], reach: int) -> Iterator[Mask]:
    """Yield for each mask (H, W) the majority of those up to `reach` places from it.

    At both ends there are fewer of them; in a tie the mask itself decides.
    """
    source, window = iter(masks), deque[Mask]()
    votes: NDArray[np.uint8] | None = None
    coming = True
    place = 0
    while True:
        while coming and len(window) <= place + reach:
            mask = next(source, None)
            if mask is None:
                coming = False
                break
            window.append(mask)
            votes = mask.astype(np.uint8) if votes is None else votes + mask
        if votes is None or place >= len(window):
            return
        # Of a tie, the frame's own pixel decides.
        yield (votes > len(window) / 2) | ((votes == len(window) / 2) & window[place])
        if place < reach:
            place += 1
        else:
            votes = votes - window.popleft()


def clean_shape(mask: Mask, params: CleanParams) -> Mask:
    """Return a mask (H, W) with a clean shape; a mask of which nothing would be left stays."""
    found = mask
    if params.close_px:
        found = _morphology(found, cv2.MORPH_CLOSE, params.close_px)
    if params.open_px:
        found = _morphology(found, cv2.MORPH_OPEN, params.open_px)
    if params.min_piece:
        found = keep_pieces(found, params.min_piece)
    if params.fill_holes:
        found = fill_holes(found, params.fill_holes)
    return found if found.any() else mask


def keep_pieces(mask: Mask, min_share: float) -> Mask:
    """Return the 8-connected pieces that have this share of the largest one's area."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
    if count <= 2:  # the background and a piece
        return mask
    areas = stats[:, _AREA].copy()
    areas[0] = 0
    # At 1, of equally large pieces the first one.
    kept = areas >= min_share * areas.max() if min_share < 1 else np.arange(count) == areas.argmax()
    kept[0] = False
    return np.asarray(kept[labels], np.bool_)


def fill_holes(mask: Mask, max_share: float) -> Mask:
    """Return the mask with its 4-connected holes of at most this share of its area."""
    # A frame of background joins all that reaches the border.
    around = np.pad(~mask, 1, constant_values=True).view(np.uint8)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(around, connectivity=4)
    filled = stats[:, _AREA] <= max_share * np.count_nonzero(mask)
    filled[[0, labels[0, 0]]] = False  # the mask itself, and what is around it
    return np.asarray(mask | filled[labels[1:-1, 1:-1]], np.bool_)


def _morphology(mask: Mask, operation: int, radius_px: int) -> Mask:
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius_px + 1, 2 * radius_px + 1))
    # The object goes on beyond the border, so a mask that touches it is not eaten from there.
    padded = np.pad(mask.view(np.uint8), 2 * radius_px, mode="edge")
    inner = slice(2 * radius_px, -2 * radius_px)
    return np.asarray(cv2.morphologyEx(padded, operation, disc)[inner, inner] > 0, np.bool_)
