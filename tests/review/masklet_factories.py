"""Frames and masklets made by hand: rectangles on a grey picture."""

import numpy as np

from pvtt_flow.core import rle
from pvtt_flow.types import Frame, Masklet, MaskletFrame, VerdictName

WIDTH_PX, HEIGHT_PX = 160, 120


def grey_frame(frame_index: int) -> Frame:
    rgb = np.full((HEIGHT_PX, WIDTH_PX, 3), 100, np.uint8)
    return Frame(frame_index, frame_index * 40_000_000, rgb)


def masklet_of(
    object_id: int,
    boxes_xyxy: dict[int, tuple[int, int, int, int] | None],
    *,
    verdict: VerdictName | None = None,
    reasons: tuple[str, ...] = (),
) -> Masklet:
    """Make a masklet of one rectangle for each frame; None if the object is absent."""
    return Masklet(
        masklet_id=f"v/0/{object_id}",
        shot_id="v/0",
        video_id="v",
        object_id=object_id,
        label="mug",
        shot_index=0,
        start_frame=min(boxes_xyxy),
        stop_frame=max(boxes_xyxy) + 1,
        start_ns=0,
        stop_ns=1,
        width_px=WIDTH_PX,
        height_px=HEIGHT_PX,
        prompts=(),
        frames=tuple(_frame(index, box) for index, box in sorted(boxes_xyxy.items())),
        verdict=verdict,
        reasons=reasons,
    )


def _frame(frame_index: int, box_xyxy: tuple[int, int, int, int] | None) -> MaskletFrame:
    mask = np.zeros((HEIGHT_PX, WIDTH_PX), bool)
    if box_xyxy is not None:
        x0, y0, x1, y1 = box_xyxy
        mask[y0:y1, x0:x1] = True
    return MaskletFrame(
        frame_index=frame_index,
        pts_ns=frame_index * 40_000_000,
        rle=rle.encode(mask) if box_xyxy else None,
        box_xyxy=box_xyxy,
        area_px=int(mask.sum()),
        object_score=5.0 if box_xyxy else -5.0,
        predicted_iou=0.9,
        fragments=int(box_xyxy is not None),
    )
