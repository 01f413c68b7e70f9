"""Columns of a masklet's rows that its fitness depends on."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pvtt_flow.types import MaskletFrame


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FitnessRows:
    """Frames of a masklet without their masks, T of them in order of time."""

    frame_index: NDArray[np.int64]
    pts_ns: NDArray[np.int64]
    is_present: NDArray[np.bool_]
    box_xyxy: NDArray[np.float64]
    """Boxes of the whole masks, float64 (T, 4) in display pixels; 0 where the product is absent."""
    largest_fragment_box_xyxy: NDArray[np.float64]
    """Boxes of their largest fragments, or of the whole masks in older rows, without the column."""
    area_px: NDArray[np.int64]
    width_px: int
    height_px: int

    @classmethod
    def of(cls, frames: Sequence[MaskletFrame], *, width_px: int, height_px: int) -> "FitnessRows":
        """Take the columns of a masklet's frames."""
        boxes = [frame.box_xyxy or (0, 0, 0, 0) for frame in frames]
        largest = [
            frame.largest_fragment_box_xyxy or box for frame, box in zip(frames, boxes, strict=True)
        ]
        return cls(
            frame_index=np.array([frame.frame_index for frame in frames], np.int64),
            pts_ns=np.array([frame.pts_ns for frame in frames], np.int64),
            is_present=np.array([frame.box_xyxy is not None for frame in frames], np.bool_),
            box_xyxy=np.array(boxes, np.float64).reshape(-1, 4),
            largest_fragment_box_xyxy=np.array(largest, np.float64).reshape(-1, 4),
            area_px=np.array([frame.area_px for frame in frames], np.int64),
            width_px=width_px,
            height_px=height_px,
        )

    def union_box(self, positions: NDArray[np.int64]) -> tuple[int, ...]:
        """Return the box around the product on all of these frames."""
        boxes = self.box_xyxy[positions[self.is_present[positions]]]
        low, high = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
        return (*map(int, low), *map(int, high))
