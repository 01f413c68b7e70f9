"""Choice of the products among detections, and their prompts."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from pvtt_flow.core import boxes
from pvtt_flow.params import Params
from pvtt_flow.types import Detections, Prompt


class DetectParams(Params):
    """Selection of products among the detector's boxes, and of the frame that is searched."""

    min_score: Annotated[float, Field(ge=0, le=1)] = 0.25
    """Lowest confidence of a detection that is kept."""
    classes: tuple[str, ...] | None = None
    """Names of the detector's classes that count as products; null: all of its classes."""
    max_products: Annotated[int, Field(ge=1, le=64)] = 1
    """Largest number of objects per shot."""
    choose: Literal["score", "area", "centrality"] = "score"
    """Ranking of products, which decides what `max_products` and `max_iou` keep: `score`
    (confidence), `area` (size), or `centrality` (closeness to the picture's center)."""
    max_iou: Annotated[float, Field(ge=0, le=1)] = 0.7
    """Largest overlap (IoU) of two products; of two boxes that overlap more, the lower-ranked one
    is dropped."""
    min_area: Annotated[float, Field(ge=0, le=1)] = 0.001
    """Smallest area of a product, as a fraction of the picture's area."""
    prompt_frame: Literal["first", "sharp", "confident"] = "first"
    """Frame of a shot on which products are detected: `first`; `sharp`: the first candidate that is
    about as sharp as the sharpest one; `confident`: the candidate on which the products' scores
    have the largest sum. `sharp` and `confident` need `tracker.direction: both`."""
    num_candidates: Annotated[int, Field(ge=2, le=32)] = 8
    """Number of candidate frames per shot, the first frame included, for `sharp` and `confident`.
    All of them are decoded; `confident` also runs the detector on all of them."""


def choose_products(
    detections: Detections, *, frame_index: int, width_px: int, height_px: int, params: DetectParams
) -> tuple[Prompt, ...]:
    """Return box prompts for the products on one frame, best first; object ids count from 0."""
    boxes_xyxy = boxes.clip(detections.boxes_xyxy, width_px, height_px)
    keep = _is_product(detections, boxes_xyxy, width_px * height_px, params)
    rank = _rank(detections, boxes_xyxy, width_px, height_px, params)
    order = [int(i) for i in np.argsort(-rank, kind="stable") if keep[i]]
    chosen = _suppress_overlaps(order, boxes_xyxy, params.max_iou)[: params.max_products]
    return tuple(
        Prompt(
            object_id=object_id,
            frame_index=frame_index,
            label=detections.labels[i],
            box_xyxy=tuple(float(v) for v in boxes_xyxy[i]),
            score=float(detections.scores[i]),
        )
        for object_id, i in enumerate(chosen)
    )


def prompts_within(
    prompts: Iterable[Prompt], start_frame: int, stop_frame: int
) -> tuple[Prompt, ...]:
    """Return the prompts of one shot, which has the frames `[start_frame, stop_frame)`.

    A correction needs a track to correct. An object that has only corrections in this shot has no
    track before them, so the earliest becomes its initial prompt.
    """
    within = tuple(p for p in prompts if start_frame <= p.frame_index < stop_frame)
    started = {p.object_id for p in within if not p.correction}
    first: dict[int, int] = {}
    for p in within:
        first[p.object_id] = min(p.frame_index, first.get(p.object_id, p.frame_index))
    return tuple(
        replace(p, correction=False)
        if p.object_id not in started and p.frame_index == first[p.object_id]
        else p
        for p in within
    )


def merge_prompts(manifest: tuple[Prompt, ...], detected: tuple[Prompt, ...]) -> tuple[Prompt, ...]:
    """Add detected prompts to those of the manifest, which win where the object id is equal."""
    prompted = {prompt.object_id for prompt in manifest}
    return manifest + tuple(p for p in detected if p.object_id not in prompted)


def _is_product(
    detections: Detections, boxes_xyxy: boxes.Boxes, picture_px: int, params: DetectParams
) -> NDArray[np.bool_]:
    classes = params.classes
    in_class = np.array([classes is None or n in classes for n in detections.labels], bool)
    is_large = boxes.areas(boxes_xyxy) >= max(params.min_area * picture_px, 1)
    return np.asarray(in_class & is_large & (detections.scores >= params.min_score))


def _rank(
    detections: Detections,
    boxes_xyxy: boxes.Boxes,
    width_px: int,
    height_px: int,
    params: DetectParams,
) -> NDArray[np.floating]:
    match params.choose:
        case "score":
            return detections.scores
        case "area":
            return boxes.areas(boxes_xyxy)
        case "centrality":
            return boxes.centrality(boxes_xyxy, width_px, height_px)


def _suppress_overlaps(order: list[int], boxes_xyxy: boxes.Boxes, max_iou: float) -> list[int]:
    """Apply greedy non-maximum suppression, in the given order."""
    overlap = boxes.iou(boxes_xyxy, boxes_xyxy)
    kept: list[int] = []
    for i in order:
        if all(overlap[i, j] <= max_iou for j in kept):
            kept.append(i)
    return kept
