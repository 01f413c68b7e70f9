"""Prompts as tensors: points in pixels of the model's square image, masks of square sizes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from pvtt_flow.core import rle
from pvtt_flow.errors import DataError
from pvtt_flow.types import Prompt

# Labels of a box's corners (sam2/modeling/sam/prompt_encoder.py, `_embed_points`); clicks have 0
# and 1.
_BOX_LABELS = (2, 3)


@dataclass(frozen=True, slots=True)
class MaskFormat:
    """Form of a model's mask prompts."""

    side_px: int
    """16h, four times that of predicted masks."""
    keeps_soft_edges: bool = False
    """True if a resized mask is not thresholded (SAM 3)."""


@dataclass(frozen=True, slots=True, eq=False)
class PromptTensors:
    """Prompt for one object on one frame: a mask, or else points."""

    points: Tensor
    """float32 (P, 2): x, y."""
    labels: Tensor
    """int32 (P,): 0 background, 1 object, 2 and 3 the corners of a box."""
    mask: Tensor | None
    """float32 (1, 16h, 16w) in [0, 1], of 0 and 1 unless the model keeps soft edges."""
    small_mask: Tensor | None
    """float32 (1, 4h, 4w) in [0, 1]: the mask at the size of predicted ones."""
    is_correction: bool
    """True if the points refine the mask that is tracked to this frame."""


def encode_prompts(
    prompts: Mapping[int, Sequence[Prompt]],
    display_px: tuple[int, int],
    size_px: int,
    masks: MaskFormat | None = None,
) -> dict[int, dict[int, PromptTensors]]:
    """Convert prompts, by position, to tensors, by object id and position.

    `display_px` is (H, W), `size_px` is S; masks have that side by default. Object ids ascend.
    Raises DataError of kind `bad_prompt` when an object has several boxes or masks on a frame, only
    corrections, or a mask that vanishes.
    """
    by_object: dict[int, dict[int, PromptTensors]] = {}
    for position, frame_prompts in prompts.items():
        for object_id in {p.object_id for p in frame_prompts}:
            by_object.setdefault(object_id, {})[position] = _combine(
                [p for p in frame_prompts if p.object_id == object_id],
                display_px,
                size_px,
                masks or MaskFormat(size_px),
            )
    for object_id, by_position in by_object.items():
        if all(prompt.is_correction for prompt in by_position.values()):
            raise DataError(
                "bad_prompt",
                f"object {object_id} must have a prompt that is not a correction, got only "
                f"corrections; add a box, a mask or points to start from",
            )
    return dict(sorted(by_object.items()))


def _combine(
    prompts: Sequence[Prompt], display_px: tuple[int, int], size_px: int, form: MaskFormat
) -> PromptTensors:
    """Combine the prompts for one object on one frame: points are joined, a mask replaces them."""
    boxes = [p.box_xyxy for p in prompts if p.box_xyxy is not None]
    masks = [p.mask_rle for p in prompts if p.mask_rle is not None]
    if len(boxes) > 1 or len(masks) > 1:
        raise DataError(
            "bad_prompt",
            f"an object must have at most one box and one mask on a frame, got {len(boxes)} boxes "
            f"and {len(masks)} masks for object {prompts[0].object_id} on frame "
            f"{prompts[0].frame_index}",
        )
    points = [*_corners(boxes), *(xy for p in prompts for xy in p.points_xy)]
    labels = [*(_BOX_LABELS * len(boxes)), *(n for p in prompts for n in p.point_labels)]
    height, width = display_px
    relative = torch.tensor(points, dtype=torch.float32).view(-1, 2) / torch.tensor([width, height])
    shown = torch.from_numpy(rle.decode(masks[0], *display_px)) if masks else None
    mask, small_mask = (None, None) if shown is None else _resize(shown, form)
    if shown is not None and small_mask is not None and shown.any() and _is_empty(small_mask):
        # The model would remember an object that its own mask does not show, and would track
        # another thing.
        small_px = small_mask.shape[-1]
        raise DataError(
            "bad_prompt",
            f"the mask of object {prompts[0].object_id} on frame {prompts[0].frame_index} must be "
            f"visible in the model's masks of {small_px}x{small_px} pixels, got a speck; give a "
            "box, points or a larger mask",
        )
    return PromptTensors(
        points=relative * size_px,
        labels=torch.tensor(labels, dtype=torch.int32),
        mask=mask,
        small_mask=small_mask,
        is_correction=all(p.correction for p in prompts) and not masks,
    )


def _corners(boxes: Iterable[tuple[float, ...]]) -> list[tuple[float, float]]:
    return [corner for x0, y0, x1, y1 in boxes for corner in ((x0, y0), (x1, y1))]


def _is_empty(mask: Tensor) -> bool:
    return not bool((mask > 0.5).any())


def _resize(shown: Tensor, form: MaskFormat) -> tuple[Tensor, Tensor]:
    """Return a mask prompt, bool (H, W), at the prompts' size and at that of predicted masks.

    Follows sam2/sam2_video_predictor.py, `add_new_mask`, and sam2/modeling/sam2_base.py,
    `_use_mask_as_output`; with soft edges sam3/model/sam3_tracking_predictor.py, `add_new_mask` and
    `_consolidate_temp_output_across_obj`, where the small mask is of the one that is shown.
    """
    given = shown.float()[None, None]
    large = _resize_mask(given, form.side_px)
    if form.keeps_soft_edges:
        return large[0], _resize_mask(given, form.side_px // 4)[0]
    large = (large >= 0.5).float()
    return large[0], _resize_mask(large, form.side_px // 4)[0]


def _resize_mask(mask: Tensor, side_px: int) -> Tensor:
    """Resize a mask of 0 and 1, float32 (1, 1, H, W), to values in [0, 1], (1, 1, side, side)."""
    if mask.shape[-2:] == (side_px, side_px):
        return mask
    return functional.interpolate(
        mask, size=(side_px, side_px), mode="bilinear", align_corners=False, antialias=True
    )
