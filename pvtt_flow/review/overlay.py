"""Overlay of objects on a frame: mask, box and label, in a color for each object."""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import supervision as sv
from numpy.typing import NDArray

from pvtt_flow.core import rle
from pvtt_flow.types import Masklet

# Successive ids differ much in hue; no gray or brown, which are frequent in videos.
PALETTE = sv.ColorPalette.from_hex(
    ["#00B4FF", "#FF7A00", "#2EDB5C", "#FF2E93", "#FFD400", "#9B5CFF", "#00E0C7", "#FF4B3E"]
)


@dataclass(frozen=True, slots=True, eq=False)
class OverlayObject:
    """Object on a frame, ready to draw."""

    object_id: int
    label: str
    box_xyxy: tuple[float, ...]
    """Box in pixels of the frame, exclusive max."""
    mask: NDArray[np.bool_] | None = None
    """Mask of the frame's size, bool (H, W); None draws only the box, as for a prompt."""


def color_of(object_id: int) -> tuple[int, int, int]:
    """Return the RGB color of an object, which is the same in all pictures."""
    color: tuple[int, int, int] = PALETTE.by_idx(object_id).as_rgb()
    return color


def objects_on(masklets: Iterable[Masklet], frame_index: int) -> list[OverlayObject]:
    """Return the objects that are present on a frame, with their decoded masks."""
    objects = []
    for masklet in masklets:
        at = bisect_left(masklet.frames, frame_index, key=lambda frame: frame.frame_index)
        frame = masklet.frames[at] if at < len(masklet.frames) else None
        if frame is None or frame.frame_index != frame_index:
            continue
        if frame.rle is not None and frame.box_xyxy is not None:
            mask = rle.decode(frame.rle, masklet.height_px, masklet.width_px)
            objects.append(OverlayObject(masklet.object_id, masklet.label, frame.box_xyxy, mask))
    return objects


def overlay(
    rgb: NDArray[np.uint8],
    objects: Sequence[OverlayObject],
    *,
    scale: float = 1.0,
    with_labels: bool = True,
) -> NDArray[np.uint8]:
    """Draw objects on a copy of a uint8 (H, W, 3) RGB frame, `scale` times its size, contiguous.

    Lines and labels are sized for the scaled picture. Raises ValueError for a mask of another size
    than the frame.
    """
    for item in objects:
        if item.mask is not None and item.mask.shape != rgb.shape[:2]:
            raise ValueError(
                f"the mask of object {item.object_id} must have the frame's (height, width) "
                f"{rgb.shape[:2]}, got {item.mask.shape}"
            )
    size_px = (max(round(rgb.shape[1] * scale), 1), max(round(rgb.shape[0] * scale), 1))
    # Annotators draw on BGR pictures, in place.
    scene = np.ascontiguousarray(_resize(rgb, size_px)[..., ::-1])
    scaled = [_rescale(item, size_px, scale) for item in objects]
    masked = [item for item in scaled if item.mask is not None]
    if masked:
        scene = sv.MaskAnnotator(PALETTE, opacity=0.45).annotate(scene, _detections(masked))
    if scaled:
        scene = _annotate_boxes(scene, scaled, with_labels=with_labels)
    return np.ascontiguousarray(scene[..., ::-1])


def _annotate_boxes(
    scene: NDArray[np.uint8], objects: Sequence[OverlayObject], *, with_labels: bool
) -> NDArray[np.uint8]:
    short_px = min(scene.shape[:2])
    detections = _detections([replace(item, mask=None) for item in objects])
    thickness = max(1, round(short_px / 300))
    scene = sv.BoxAnnotator(PALETTE, thickness=thickness).annotate(scene, detections)
    if with_labels:
        annotator = sv.LabelAnnotator(
            PALETTE,
            text_color=sv.Color.BLACK,
            text_scale=max(0.4, short_px / 1000),
            text_padding=max(3, short_px // 120),
            smart_position=True,
        )
        labels = [f"{item.object_id} {item.label}" for item in objects]
        scene = annotator.annotate(scene, detections, labels=labels)
    return np.asarray(scene, np.uint8)


def _detections(objects: Sequence[OverlayObject]) -> sv.Detections:
    """Return objects as supervision's detections; the class, which sets the color, is the id."""
    masks = [item.mask for item in objects if item.mask is not None]
    boxes = np.array([item.box_xyxy for item in objects], np.float32)
    return sv.Detections(
        # The line belongs on the last pixel, which is one below the exclusive max.
        xyxy=boxes - np.array([0, 0, 1, 1], np.float32),
        mask=np.stack(masks) if masks else None,
        class_id=np.array([item.object_id for item in objects]),
    )


def _resize(rgb: NDArray[np.uint8], size_px: tuple[int, int]) -> NDArray[np.uint8]:
    if size_px == (rgb.shape[1], rgb.shape[0]):
        return rgb
    smaller = size_px[0] < rgb.shape[1]
    interpolation = cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(rgb, size_px, interpolation=interpolation), np.uint8)


def _rescale(item: OverlayObject, size_px: tuple[int, int], scale: float) -> OverlayObject:
    box_xyxy = tuple(side * scale for side in item.box_xyxy)
    if item.mask is None:
        return replace(item, box_xyxy=box_xyxy)
    mask = cv2.resize(item.mask.astype(np.uint8), size_px, interpolation=cv2.INTER_NEAREST)
    return replace(item, box_xyxy=box_xyxy, mask=mask.astype(np.bool_))
