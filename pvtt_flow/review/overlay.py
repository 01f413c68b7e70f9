"""One frame with its objects painted on: mask, box and label, one colour an object."""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import supervision as sv
from numpy.typing import NDArray

from pvtt_flow.core import rle
from pvtt_flow.types import Masklet

# Neighbouring ids are far apart in hue; no grey or brown, which footage is full of.
PALETTE = sv.ColorPalette.from_hex(
    ["#00B4FF", "#FF7A00", "#2EDB5C", "#FF2E93", "#FFD400", "#9B5CFF", "#00E0C7", "#FF4B3E"]
)


@dataclass(frozen=True, slots=True, eq=False)
class PaintedObject:
    """One object on one frame, ready to paint."""

    object_id: int
    label: str
    box_xyxy: tuple[float, ...]
    """Exclusive max, the frame's pixels."""
    mask: NDArray[np.bool_] | None = None
    """bool (H, W), the frame's size; None paints the box only, as for a prompt."""


def colour_of(object_id: int) -> tuple[int, int, int]:
    """The object's RGB, the same on every frame and in every picture."""
    colour: tuple[int, int, int] = PALETTE.by_idx(object_id).as_rgb()
    return colour


def objects_on(masklets: Iterable[Masklet], frame_index: int) -> list[PaintedObject]:
    """The objects that are present on that frame, with their masks decoded."""
    found = []
    for masklet in masklets:
        at = bisect_left(masklet.frames, frame_index, key=lambda frame: frame.frame_index)
        frame = masklet.frames[at] if at < len(masklet.frames) else None
        if frame is None or frame.frame_index != frame_index:
            continue
        if frame.rle is not None and frame.box_xyxy is not None:
            mask = rle.decode(frame.rle, masklet.height_px, masklet.width_px)
            found.append(PaintedObject(masklet.object_id, masklet.label, frame.box_xyxy, mask))
    return found


def paint(
    rgb: NDArray[np.uint8],
    objects: Sequence[PaintedObject],
    *,
    scale: float = 1.0,
    with_labels: bool = True,
) -> NDArray[np.uint8]:
    """A painted copy of a uint8 (H, W, 3) RGB frame, contiguous, `scale` times its size.

    Lines and letters are sized for the scaled picture. Raises ValueError for a mask of another
    size than the frame.
    """
    for shown in objects:
        if shown.mask is not None and shown.mask.shape != rgb.shape[:2]:
            raise ValueError(
                f"the mask of object {shown.object_id} must have the frame's (height, width) "
                f"{rgb.shape[:2]}, got {shown.mask.shape}"
            )
    size_px = (max(round(rgb.shape[1] * scale), 1), max(round(rgb.shape[0] * scale), 1))
    # Annotators paint BGR pictures, in place.
    scene = np.ascontiguousarray(_resize(rgb, size_px)[..., ::-1])
    scaled = [_rescale(shown, size_px, scale) for shown in objects]
    masked = [shown for shown in scaled if shown.mask is not None]
    if masked:
        scene = sv.MaskAnnotator(PALETTE, opacity=0.45).annotate(scene, _detections(masked))
    if scaled:
        scene = _annotate_boxes(scene, scaled, with_labels=with_labels)
    return np.ascontiguousarray(scene[..., ::-1])


def _annotate_boxes(
    scene: NDArray[np.uint8], objects: Sequence[PaintedObject], *, with_labels: bool
) -> NDArray[np.uint8]:
    short_px = min(scene.shape[:2])
    detections = _detections([replace(shown, mask=None) for shown in objects])
    thickness = max(1, round(short_px / 300))
    painted = sv.BoxAnnotator(PALETTE, thickness=thickness).annotate(scene, detections)
    if with_labels:
        annotator = sv.LabelAnnotator(
            PALETTE,
            text_color=sv.Color.BLACK,
            text_scale=max(0.4, short_px / 1000),
            text_padding=max(3, short_px // 120),
            smart_position=True,
        )
        labels = [f"{shown.object_id} {shown.label}" for shown in objects]
        painted = annotator.annotate(painted, detections, labels=labels)
    return np.asarray(painted, np.uint8)


def _detections(objects: Sequence[PaintedObject]) -> sv.Detections:
    """Objects in supervision's form; the class is the object, so that it picks the colour."""
    masks = [shown.mask for shown in objects if shown.mask is not None]
    boxes = np.array([shown.box_xyxy for shown in objects], np.float32)
    return sv.Detections(
        # The last pixel of an exclusive max is where the line belongs.
        xyxy=boxes - np.array([0, 0, 1, 1], np.float32),
        mask=np.stack(masks) if masks else None,
        class_id=np.array([shown.object_id for shown in objects]),
    )


def _resize(rgb: NDArray[np.uint8], size_px: tuple[int, int]) -> NDArray[np.uint8]:
    if size_px == (rgb.shape[1], rgb.shape[0]):
        return rgb
    smaller = size_px[0] < rgb.shape[1]
    interpolation = cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(rgb, size_px, interpolation=interpolation), np.uint8)


def _rescale(shown: PaintedObject, size_px: tuple[int, int], scale: float) -> PaintedObject:
    box_xyxy = tuple(side * scale for side in shown.box_xyxy)
    if shown.mask is None:
        return replace(shown, box_xyxy=box_xyxy)
    mask = cv2.resize(shown.mask.astype(np.uint8), size_px, interpolation=cv2.INTER_NEAREST)
    return replace(shown, box_xyxy=box_xyxy, mask=mask.astype(np.bool_))
