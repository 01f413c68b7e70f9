"""Placement of a source's picture in the picture that a consumer reads."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pvtt_flow.core.profile import PictureSize


class Placement(NamedTuple):
    """Scale and position of the source in the output; a point x is at `left_px + scale_x * x`."""

    width_px: int
    height_px: int
    """Size of the output."""
    scale_x: float
    scale_y: float
    left_px: float
    """Position of the source's left edge: negative if it is cut off, positive beside a bar."""
    top_px: float

    def boxes(self, boxes_xyxy: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return boxes of the source in pixels of the output, float64 (N, 4), not clipped."""
        scales = np.array([self.scale_x, self.scale_y] * 2)
        return np.asarray(boxes_xyxy * scales + np.array([self.left_px, self.top_px] * 2))


def place(size: PictureSize, width_px: int, height_px: int) -> Placement:
    """Place a picture of this size in the consumer's."""
    target = _target(size, width_px, height_px)
    ratios = target[0] / width_px, target[1] / height_px
    if size.fit == "fit":
        scale = min(ratios)
        # A side in which the target is met exactly must not lose a pixel to rounding.
        sides = (round(side * scale, 6) for side in (width_px, height_px))
        width, height = (max(size.multiple, int(s) - int(s) % size.multiple) for s in sides)
        return Placement(width, height, width / width_px, height / height_px, 0.0, 0.0)
    scale = max(ratios) if size.fit == "crop" else min(ratios)
    left, top = (target[0] - scale * width_px) / 2, (target[1] - scale * height_px) / 2
    return Placement(*target, scale, scale, left, top)


def _target(size: PictureSize, width_px: int, height_px: int) -> tuple[int, int]:
    """Return the width and height to fit into, or to fill."""
    if size.width_px is not None and size.height_px is not None:
        swaps = size.swap_for_portrait and height_px > width_px
        sides = size.width_px, size.height_px
        return (sides[1], sides[0]) if swaps else sides
    longest = max(width_px, height_px)
    side = longest if size.max_side_px is None else min(longest, size.max_side_px)
    return side, side
