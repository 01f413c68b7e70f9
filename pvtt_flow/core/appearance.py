"""Appearance of a masked object: its colors, its contrast along its outline, its motion.

Erdem, Sankur and Tekalp, "Performance measures for video object segmentation and tracking", 2004,
use these three to judge masks without ground truth.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from pvtt_flow.core import rle
from pvtt_flow.core.salient import SalientParams
from pvtt_flow.params import Params
from pvtt_flow.types import Appearance, MaskletFrame

Picture = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Histogram = NDArray[np.float64]

# Longer side at which an object and what is around it are looked at.
_VIEW_PX = 192
# What is around an object, as a share of its longer side; a flow may leave its box.
_MARGIN = 0.25
_MIN_MARGIN_PX = 8
# Bins of each of the three channels.
_BINS = 8
NUM_BINS = _BINS**3
"""Bins of a histogram of colors."""
# Distance from the outline up to which colors are compared, as a share of the square root of the
# mask's area.
_REACH = 0.05
# Sides below which the optical flow has no patches to match.
_MIN_FLOW_PX = 16
_CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.uint8)


class MeasureParams(Params):
    """Measurements that take the pictures again, once a shot is tracked."""

    appearance: bool = True
    """Compare the colors inside each mask with those of the prompted mask, and with those around
    it. A shot with a product is decoded once more."""
    flow: bool = False
    """Compare each mask with the one before, moved by the optical flow; needs `appearance`."""
    backward: bool = False
    """Track each object back from its last mask and compare the masks of both passes, which takes
    as long as tracking; needs `tracker.direction: both`."""
    salient: SalientParams = SalientParams()
    """Compare masks with what a salient-object model takes for the subject of a picture."""

    @model_validator(mode="after")
    def _check_flow(self) -> Self:
        if self.flow and not self.appearance:
            raise ValueError("appearance must be true where flow is true, got false; set both")
        return self


@dataclass(frozen=True, slots=True)
class Sight:
    """Object on a frame."""

    rgb: Picture
    """Uint8 (H, W, 3)."""
    mask: Mask
    """Bool (H, W), not empty."""
    box_xyxy: tuple[int, ...]
    """Tight box of the mask."""

    @classmethod
    def of(cls, rgb: Picture, frame: MaskletFrame) -> "Sight | None":
        """Return the object of a masklet's frame; None if it has no mask there."""
        if frame.rle is None or frame.box_xyxy is None:
            return None
        return cls(rgb, rle.decode(frame.rle, *rgb.shape[:2]), frame.box_xyxy)


@dataclass(frozen=True, slots=True)
class View:
    """Object and what is around it, small."""

    lab: NDArray[np.float32]
    """Colors in CIELAB, float32 (H, W, 3)."""
    mask: Mask
    """Bool (H, W); empty if the object is thinner than a pixel here."""


def view_of(sight: Sight) -> View:
    """Return the object and what is around it at a size that is cheap to look at."""
    crop = _around([sight.box_xyxy], sight.mask.shape)
    small = _scaled(sight.rgb[crop]).astype(np.float32) / 255
    lab = cv2.cvtColor(small, cv2.COLOR_RGB2LAB)
    return View(np.asarray(lab, np.float32), _scaled_mask(sight.mask[crop]))


def colors_of(view: View) -> Histogram | None:
    """Return the histogram of the object's colors, float64 (512,) with the sum 1.

    None if its mask is empty.
    """
    inside = view.lab[view.mask]
    if not len(inside):
        return None
    # L is in [0, 100], a and b are in [-128, 128).
    unit = (inside - (0, -128, -128)) / (100, 256, 256)
    bins = np.clip((unit * _BINS).astype(np.int64), 0, _BINS - 1)
    counts = np.bincount(bins @ (_BINS * _BINS, _BINS, 1), minlength=NUM_BINS)
    return np.asarray(counts / len(inside), np.float64)


def colors_of_box(rgb: Picture, box_xyxy: Sequence[float]) -> Histogram | None:
    """Return the histogram of the colors in a box, as `colors_of`; None for an empty box."""
    height_px, width_px = rgb.shape[:2]
    x0, y0 = (max(int(v), 0) for v in box_xyxy[:2])
    x1, y1 = (
        min(math.ceil(v), most) for v, most in zip(box_xyxy[2:], (width_px, height_px), strict=True)
    )
    if x0 >= x1 or y0 >= y1:
        return None
    mask = np.zeros((height_px, width_px), np.bool_)
    mask[y0:y1, x0:x1] = True
    return colors_of(view_of(Sight(rgb, mask, (x0, y0, x1, y1))))


def color_distance(a: Histogram, b: Histogram) -> float:
    """Return the Hellinger distance of two histograms: 0 for equal ones, 1 without a common color.

    Comaniciu, Ramesh and Meer, "Kernel-based object tracking", 2003.
    """
    return float(np.sqrt(max(1 - np.sqrt(a * b).sum(), 0.0)))


def contour_contrast(view: View) -> float | None:
    """Return the median color difference (CIE76) between both sides of the outline.

    Colors of a side are means of what is near. None if no outline is inside the picture.
    """
    mask = view.mask.astype(np.float32)
    outline = cv2.morphologyEx(view.mask.view(np.uint8), cv2.MORPH_GRADIENT, _CROSS) > 0
    reach = max(1, round(_REACH * float(np.sqrt(mask.sum()))))
    inside, outside = (_mean_near(view.lab, side, reach)[outline] for side in (mask, 1 - mask))
    differences = np.linalg.norm(inside - outside, axis=1)
    return float(np.median(differences)) if len(differences) else None


def flow_iou(before: Sight, now: Sight) -> float | None:
    """Return the IoU of a mask and of the one before, moved by the optical flow between both.

    The flow is that of DIS (Kroeger et al., "Fast optical flow using dense inverse search", 2016).
    None if the objects are too small for it.
    """
    crop = _around([before.box_xyxy, now.box_xyxy], now.mask.shape)
    gray_before, gray = (
        cv2.cvtColor(_scaled(sight.rgb[crop]), cv2.COLOR_RGB2GRAY) for sight in (before, now)
    )
    mask_before, mask = _scaled_mask(before.mask[crop]), _scaled_mask(now.mask[crop])
    if min(mask.shape) < _MIN_FLOW_PX or not (mask_before.any() and mask.any()):
        return None
    # From each pixel to where it was.
    start = np.zeros((*mask.shape, 2), np.float32)
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST).calc(gray, gray_before, start)
    y, x = np.indices(mask.shape, np.float32)
    was_there = mask_before.astype(np.float32)
    moved = cv2.remap(was_there, x + flow[..., 0], y + flow[..., 1], cv2.INTER_LINEAR) > 0.5
    return float(np.count_nonzero(moved & mask) / np.count_nonzero(moved | mask))


class Observer:
    """Looks at one object on frame after frame."""

    def __init__(self, reference: Sight | None, *, flow: bool) -> None:
        """Compare colors with those of the reference, if there is one."""
        self._colors = None if reference is None else colors_of(view_of(reference))
        self._flow = flow
        self._before: Sight | None = None

    def look(self, sight: Sight | None) -> Appearance | None:
        """Measure the object on its next frame; None where it has no mask."""
        before, self._before = self._before, sight if self._flow else None
        if sight is None:
            return None
        view = view_of(sight)
        return Appearance(
            color_distance=self._color_distance(view),
            contour_contrast=contour_contrast(view),
            flow_iou=None if before is None else flow_iou(before, sight),
        )

    def _color_distance(self, view: View) -> float | None:
        colors = colors_of(view)
        if colors is None or self._colors is None:
            return None
        return color_distance(colors, self._colors)


def _around(boxes_xyxy: list[tuple[int, ...]], shape: tuple[int, ...]) -> tuple[slice, slice]:
    """Return the part of a picture that has these boxes and what is around them."""
    x0, y0 = (min(box[axis] for box in boxes_xyxy) for axis in (0, 1))
    x1, y1 = (max(box[axis] for box in boxes_xyxy) for axis in (2, 3))
    margin = max(_MIN_MARGIN_PX, round(_MARGIN * max(x1 - x0, y1 - y0)))
    height_px, width_px = shape
    return (
        slice(max(y0 - margin, 0), min(y1 + margin, height_px)),
        slice(max(x0 - margin, 0), min(x1 + margin, width_px)),
    )


def _scaled(picture: Picture) -> Picture:
    """Return a picture of at most `_VIEW_PX` a side."""
    height_px, width_px = picture.shape[:2]
    scale = _VIEW_PX / max(height_px, width_px)
    if scale >= 1:
        return np.ascontiguousarray(picture)
    size = max(1, round(width_px * scale)), max(1, round(height_px * scale))
    resized = cv2.resize(np.ascontiguousarray(picture), size, interpolation=cv2.INTER_AREA)
    return np.asarray(resized, np.uint8)


def _scaled_mask(mask: Mask) -> Mask:
    return np.asarray(_scaled(mask.astype(np.uint8) * np.uint8(255)) > 127, np.bool_)


def _mean_near(
    lab: NDArray[np.float32], weight: NDArray[np.float32], reach: int
) -> NDArray[np.float32]:
    """Return the mean of the colors with a weight around each pixel, float32 (H, W, 3)."""
    window = (2 * reach + 1, 2 * reach + 1)
    total = cv2.blur(lab * weight[..., None], window, borderType=cv2.BORDER_CONSTANT)
    share = cv2.blur(weight, window, borderType=cv2.BORDER_CONSTANT)
    return np.asarray(total / np.maximum(share, 1e-6)[..., None], np.float32)
