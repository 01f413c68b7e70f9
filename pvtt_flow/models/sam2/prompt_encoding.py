"""Prompts in the model's terms: clicks in pixels of its square image, masks at its size."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from pvtt_flow.core import rle
from pvtt_flow.errors import DataError
from pvtt_flow.types import Prompt

# SAM 2's labels for the corners of a box (prompt_encoder.py:52); clicks have 0 and 1.
_BOX_LABELS = (2, 3)


@dataclass(frozen=True, slots=True, eq=False)
class Ask:
    """What is asked of one object on one frame: a mask, or else points."""

    points: Tensor
    """float32 (P, 2)."""
    labels: Tensor
    """int32 (P,): 0 not on the object, 1 on it, 2 and 3 a box's corners."""
    mask: Tensor | None
    """float32 (1, S, S) of 0 and 1."""
    corrects: bool
    """Read together with what was tracked up to this frame."""


def asks_of(
    prompts: Mapping[int, Sequence[Prompt]], display_px: tuple[int, int], size_px: int
) -> dict[int, dict[int, Ask]]:
    """By object id and position what `prompts`, by position, ask; `display_px` is (H, W).

    Raises DataError of kind `bad_prompt` for what no tracker can follow.
    """
    asks: dict[int, dict[int, Ask]] = {}
    for position, given in prompts.items():
        for object_id in {p.object_id for p in given}:
            own = [p for p in given if p.object_id == object_id]
            asks.setdefault(object_id, {})[position] = _ask(own, display_px, size_px)
    for object_id, own_asks in asks.items():
        if all(ask.corrects for ask in own_asks.values()):
            raise DataError(
                "bad_prompt",
                f"object {object_id} must have a prompt that is not a correction to start from",
            )
    return dict(sorted(asks.items()))


def _ask(prompts: Sequence[Prompt], display_px: tuple[int, int], size_px: int) -> Ask:
    """The prompts of one object on one frame as one: a mask counts alone, points add up."""
    boxes = [p.box_xyxy for p in prompts if p.box_xyxy is not None]
    masks = [p.mask_rle for p in prompts if p.mask_rle is not None]
    if len(boxes) > 1 or len(masks) > 1:
        raise DataError(
            "bad_prompt",
            f"an object must have at most one box and one mask on a frame, got {len(boxes)} boxes "
            f"and {len(masks)} masks for object {prompts[0].object_id} on frame "
            f"{prompts[0].frame_index}",
        )
    points = [*_pairs(boxes), *(xy for p in prompts for xy in p.points_xy)]
    labels = [*(_BOX_LABELS * len(boxes)), *(n for p in prompts for n in p.point_labels)]
    height, width = display_px
    scaled = torch.tensor(points, dtype=torch.float32).view(-1, 2) / torch.tensor([width, height])
    return Ask(
        points=scaled * size_px,
        labels=torch.tensor(labels, dtype=torch.int32),
        mask=_mask(masks[0], display_px, size_px) if masks else None,
        corrects=all(p.correction for p in prompts) and not masks,
    )


def _pairs(boxes: Iterable[tuple[float, ...]]) -> list[tuple[float, float]]:
    return [corner for x0, y0, x1, y1 in boxes for corner in ((x0, y0), (x1, y1))]


def _mask(counts: str, display_px: tuple[int, int], size_px: int) -> Tensor:
    """As `SAM2VideoPredictor.add_new_mask` resizes it (sam2_video_predictor.py:317-329)."""
    mask = torch.from_numpy(rle.decode(counts, *display_px)).float()[None, None]
    if display_px != (size_px, size_px):
        mask = functional.interpolate(
            mask, size=(size_px, size_px), mode="bilinear", align_corners=False, antialias=True
        )
        mask = (mask >= 0.5).float()
    return mask[0]
