"""Prompts of a manifest: those of a shot, clipped to the picture, with detected products."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from pvtt_flow.core import boxes, rle
from pvtt_flow.errors import DataError
from pvtt_flow.types import Prompt

# Other tools round coordinates to whole pixels, or add a half.
_ROUNDING_PX = 1.0
# A point is on a pixel; the last one ends where the picture ends.
_LAST_PX = 1e-3


def prompts_within(
    prompts: Iterable[Prompt], start_frame: int, stop_frame: int
) -> tuple[Prompt, ...]:
    """Return the prompts of one shot, which has the frames `[start_frame, stop_frame)`.

    A correction needs a track to correct. An object that has only corrections in this shot has no
    track before them, so the earliest becomes its initial prompt. If they are all negative points,
    there is nothing to correct, and they are dropped.
    """
    within = tuple(p for p in prompts if start_frame <= p.frame_index < stop_frame)
    started = {p.object_id for p in within if not p.correction}
    started_or_shown = started | {p.object_id for p in within if _shows_an_object(p)}
    within = tuple(p for p in within if p.object_id in started_or_shown)
    first: dict[int, int] = {}
    for p in within:
        first[p.object_id] = min(p.frame_index, first.get(p.object_id, p.frame_index))
    return tuple(
        replace(p, correction=False)
        if p.object_id not in started and p.frame_index == first[p.object_id]
        else p
        for p in within
    )


def fit_prompts(prompts: Iterable[Prompt], width_px: int, height_px: int) -> tuple[Prompt, ...]:
    """Return the prompts of a manifest, clipped to the picture.

    Coordinates may be outside by a pixel, as other tools round them. Raises DataError of kind
    `bad_prompt` for a prompt farther outside, a mask that is empty or of another picture's size,
    and an object that has only negative points on a frame.
    """
    fitted = tuple(_fit(prompt, width_px, height_px) for prompt in prompts)
    initial = [prompt for prompt in fitted if not prompt.correction]
    shown = {(p.object_id, p.frame_index) for p in initial if _shows_an_object(p)}
    for prompt in initial:
        if (prompt.object_id, prompt.frame_index) not in shown:
            raise DataError(
                "bad_prompt",
                f"{_name(prompt)} must have a box, a mask or a point on the object, got only "
                "points that are not on it; add one, or mark the prompt as a correction",
            )
    return fitted


def merge_prompts(
    manifest: tuple[Prompt, ...],
    detected: tuple[Prompt, ...],
    *,
    width_px: int,
    height_px: int,
    max_iou: float,
) -> tuple[Prompt, ...]:
    """Add detected products to the objects of the manifest, and no object twice.

    A product is the same object if its id is in the manifest, or on the same frame if its box
    overlaps with that of a prompt by more than `max_iou`, or has the points of a prompt inside.
    """
    prompted = {prompt.object_id for prompt in manifest}
    frames = {product.frame_index for product in detected}
    boxes_of = [
        (prompt, box_of(prompt, width_px, height_px))
        for prompt in manifest
        if prompt.frame_index in frames
    ]
    return manifest + tuple(
        product
        for product in detected
        if product.object_id not in prompted
        and not any(_is_same(product, prompt, box, max_iou) for prompt, box in boxes_of)
    )


def _is_same(
    product: Prompt, prompt: Prompt, box_xyxy: tuple[float, ...] | None, max_iou: float
) -> bool:
    if product.frame_index != prompt.frame_index or product.box_xyxy is None:
        return False
    product_box = np.array([product.box_xyxy], np.float32)
    if box_xyxy is not None:
        return bool(boxes.iou(product_box, np.array([box_xyxy], np.float32))[0, 0] > max_iou)
    x0, y0, x1, y1 = product.box_xyxy
    points = _points_on(prompt)
    inside = all(x0 <= x < x1 and y0 <= y < y1 for x, y in points)
    return bool(points) and inside and not prompt.correction


def box_of(prompt: Prompt, width_px: int, height_px: int) -> tuple[float, ...] | None:
    """Return the box of a prompt, or that of its mask; None if it has points alone."""
    if prompt.mask_rle is not None:
        return rle.box_of(rle.decode(prompt.mask_rle, height_px, width_px))
    return prompt.box_xyxy


def _points_on(prompt: Prompt) -> list[tuple[float, ...]]:
    labeled = zip(prompt.points_xy, prompt.point_labels, strict=True)
    return [point for point, label in labeled if label == 1]


def _shows_an_object(prompt: Prompt) -> bool:
    """Return whether the prompt says where its object is, and not only where it is not."""
    return prompt.box_xyxy is not None or prompt.mask_rle is not None or 1 in prompt.point_labels


def _name(prompt: Prompt) -> str:
    return f"prompt of object {prompt.object_id} on frame {prompt.frame_index}"


def _fit(prompt: Prompt, width_px: int, height_px: int) -> Prompt:
    where, rule = _name(prompt), f"must fit the frame of {width_px}x{height_px}"
    counts = None
    if prompt.mask_rle is not None:
        try:
            counts, size = rle.from_text(prompt.mask_rle)
        except ValueError as error:
            raise DataError("bad_prompt", f"{where}: mask_rle {error}") from None
        if size is not None and size != (height_px, width_px):
            got = f"a mask with the size [{size[0]}, {size[1]}], which is [height, width]"
            raise DataError("bad_prompt", f"{where}: mask_rle {rule}, got {got}")
        if not rle.fits(counts, height_px, width_px):
            raise DataError("bad_prompt", f"{where}: mask_rle {rule}, got other COCO counts")
        if not rle.decode(counts, height_px, width_px).any():
            raise DataError("bad_prompt", f"{where}: mask_rle must have pixels, got an empty mask")
    box_xyxy = _fit_box(prompt.box_xyxy, width_px, height_px)
    if box_xyxy is None and prompt.box_xyxy is not None:
        raise DataError("bad_prompt", f"{where}: box_xyxy {rule}, got {prompt.box_xyxy}")
    points_xy = tuple(_fit_point(point, width_px, height_px) for point in prompt.points_xy)
    for point, fitted in zip(prompt.points_xy, points_xy, strict=True):
        if not all(np.isfinite(fitted)):
            raise DataError("bad_prompt", f"{where}: points_xy {rule}, got {point}")
    return replace(prompt, box_xyxy=box_xyxy, points_xy=points_xy, mask_rle=counts)


def _fit_box(
    box_xyxy: tuple[float, ...] | None, width_px: int, height_px: int
) -> tuple[float, ...] | None:
    """Return the clipped box; None for no box, one too far outside, and an empty one."""
    if box_xyxy is None:
        return None
    limits = (width_px, height_px) * 2
    x0, y0, x1, y1 = (_clip(v, 0, limit) for v, limit in zip(box_xyxy, limits, strict=True))
    return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None


def _fit_point(point_xy: tuple[float, ...], width_px: int, height_px: int) -> tuple[float, float]:
    x, y = point_xy
    return (
        min(_clip(x, 0, width_px), width_px - _LAST_PX),
        min(_clip(y, 0, height_px), height_px - _LAST_PX),
    )


def _clip(value: float, low: float, high: float) -> float:
    """Return the value in [low, high]; nan if it is more than a pixel outside."""
    if low <= value <= high:
        return value
    nearest = min(max(value, low), high)
    return nearest if abs(value - nearest) <= _ROUNDING_PX else float("nan")
