"""Detections to prompts: which boxes are the products, and in what order."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from pvtt_flow.core import boxes
from pvtt_flow.types import Detections, Prompt


class DetectParams(BaseModel):
    """How products are chosen among what the detector saw."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    min_score: Annotated[float, Field(ge=0, le=1)] = 0.25
    """Detections below this confidence are dropped."""
    classes: tuple[str, ...] | None = None
    """Class names that count as products; null takes every class the detector knows."""
    max_products: Annotated[int, Field(ge=1, le=64)] = 1
    """At most so many objects a shot."""
    choose: Literal["score", "area", "centrality"] = "score"
    """What makes one product better than another: confidence, size, or nearness to the centre."""
    max_iou: Annotated[float, Field(ge=0, le=1)] = 0.7
    """Two products that overlap more than this are one; the better one stays."""
    min_area: Annotated[float, Field(ge=0, le=1)] = 0.001
    """Smallest product, as a fraction of the picture."""
    prompt_frame: Literal["first", "sharp", "confident"] = "first"
    """Which frame of a shot products are looked for on: its first; the first that is sharp beside
    the rest of the shot; or the one on which the detector is surest of them."""
    num_candidates: Annotated[int, Field(ge=2, le=32)] = 8
    """Frames of a shot, the first included, among which that one is; all of them are decoded, and
    for `confident` all of them are looked at."""


def choose_products(
    seen: Detections, *, frame_index: int, width_px: int, height_px: int, params: DetectParams
) -> tuple[Prompt, ...]:
    """Box prompts for the products on one frame, best first; object ids count from 0."""
    boxes_xyxy = boxes.clip(seen.boxes_xyxy, width_px, height_px)
    keep = _allowed(seen, boxes_xyxy, width_px * height_px, params)
    rank = _rank(seen, boxes_xyxy, width_px, height_px, params)
    order = [int(i) for i in np.argsort(-rank, kind="stable") if keep[i]]
    chosen = _distinct(order, boxes_xyxy, params.max_iou)[: params.max_products]
    return tuple(
        Prompt(
            object_id=object_id,
            frame_index=frame_index,
            label=seen.labels[i],
            box_xyxy=tuple(float(v) for v in boxes_xyxy[i]),
            score=float(seen.scores[i]),
        )
        for object_id, i in enumerate(chosen)
    )


def prompts_within(
    prompts: Iterable[Prompt], start_frame: int, stop_frame: int
) -> tuple[Prompt, ...]:
    """Those on frames `[start_frame, stop_frame)`, a shot's.

    An object that has only corrections there has not been tracked so far in this shot: what was to
    correct it, on the other side of a cut, starts it.
    """
    within = tuple(p for p in prompts if start_frame <= p.frame_index < stop_frame)
    started = {p.object_id for p in within if not p.correction}
    first = {p.object_id: p.frame_index for p in sorted(within, key=_late)}
    return tuple(
        replace(p, correction=False)
        if p.object_id not in started and p.frame_index == first[p.object_id]
        else p
        for p in within
    )


def _late(prompt: Prompt) -> int:
    return -prompt.frame_index


def merge_prompts(manifest: tuple[Prompt, ...], detected: tuple[Prompt, ...]) -> tuple[Prompt, ...]:
    """Manifest prompts override detections of the same object id, the others stay beside them."""
    named = {prompt.object_id for prompt in manifest}
    return manifest + tuple(p for p in detected if p.object_id not in named)


def _allowed(
    seen: Detections, boxes_xyxy: boxes.Boxes, picture_px: int, params: DetectParams
) -> NDArray[np.bool_]:
    wanted = np.array([params.classes is None or n in params.classes for n in seen.labels], bool)
    large = boxes.areas(boxes_xyxy) >= max(params.min_area * picture_px, 1)
    return np.asarray(wanted & large & (seen.scores >= params.min_score))


def _rank(
    seen: Detections,
    boxes_xyxy: boxes.Boxes,
    width_px: int,
    height_px: int,
    params: DetectParams,
) -> NDArray[np.floating]:
    match params.choose:
        case "score":
            return seen.scores
        case "area":
            return boxes.areas(boxes_xyxy)
        case "centrality":
            return boxes.centrality(boxes_xyxy, width_px, height_px)


def _distinct(order: list[int], boxes_xyxy: boxes.Boxes, max_iou: float) -> list[int]:
    """Greedy non-maximum suppression, in the given order."""
    overlap = boxes.iou(boxes_xyxy, boxes_xyxy)
    kept: list[int] = []
    for i in order:
        if all(overlap[i, j] <= max_iou for j in kept):
            kept.append(i)
    return kept
