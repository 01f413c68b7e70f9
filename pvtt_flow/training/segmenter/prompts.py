"""Prompts of training: boxes, masks or points on one or two frames, and a click where it is wrong.

As SAM 2 is trained (Ravi et al. 2024, appendix on training; `training/model/sam2.py` of its
repository), with more boxes, since a detector gives most prompts here.
"""

from dataclasses import dataclass
from typing import Literal, TypedDict

import numpy as np
import torch
from numpy.typing import NDArray

from pvtt_flow.core import rle
from pvtt_flow.core.inner_pixel import most_inner_pixel

Rng = np.random.Generator
Kind = Literal["box", "mask", "points"]
KINDS: dict[Kind, float] = {"box": 0.5, "mask": 0.25, "points": 0.25}
MAX_POINTS = 3
SECOND_FRAME, CORRECTION = 0.25, 0.35
"""Shares of the batches with a second prompted frame, and with a click where the model is wrong."""
# Labels of SAM 2's prompt encoder.
_NO_POINT, _NEGATIVE, _POSITIVE, _TOP_LEFT, _BOTTOM_RIGHT = -1, 0, 1, 2, 3


class Points(TypedDict):
    """Points of P pairs as `SAM2Base` takes them; a box is two of them."""

    point_coords: torch.Tensor
    """float32 (P, N, 2), x and y in pixels of the square."""
    point_labels: torch.Tensor
    """int32 (P, N)."""


@dataclass(frozen=True)
class PromptPlan:
    """Prompts of a batch, of the same kind and on the same frames for all its pairs."""

    kind: Kind = "box"
    frames: tuple[int, ...] = (0,)
    """Prompted frames; the first one is 0."""
    corrected: int | None = None
    """Frame on which each pair gets a click where the model is wrong."""
    num_positive: int = 1
    num_negative: int = 0


def draw_plan(rng: Rng, num_frames: int) -> PromptPlan:
    """Draw the prompts of a batch of clips with `num_frames` frames."""
    kinds: dict[Kind, float] = {k: p for k, p in KINDS.items() if k != "mask" or num_frames > 1}
    shares = np.array(list(kinds.values()))
    kind = list(kinds)[rng.choice(len(kinds), p=shares / shares.sum())]
    later = range(1, num_frames)
    frames, corrected = [0], None
    # From a mask, there is nothing to learn on its own frame.
    may_have_second = num_frames > (1 if kind != "mask" else 2)
    if may_have_second and rng.random() < SECOND_FRAME:
        frames.append(int(rng.choice(later)))
    if rng.random() < CORRECTION:
        # Nor is it corrected.
        free = [t for t in range(num_frames) if t not in frames or kind != "mask"]
        corrected = int(rng.choice(free)) if free else None
    num_positive = int(rng.integers(1, MAX_POINTS + 1))
    num_negative = int(rng.integers(0, MAX_POINTS - num_positive + 1))
    return PromptPlan(kind, tuple(frames), corrected, num_positive, num_negative)


def points_of(rng: Rng, plan: PromptPlan, masks: NDArray[np.bool_]) -> Points | None:
    """Return the boxes or points of P masks (P, S, S), none empty; None for masks as prompts."""
    if plan.kind == "mask":
        return None
    if plan.kind == "box":
        corners = np.stack([jitter_box(rng, mask) for mask in masks]).reshape(-1, 2, 2)
        return _as_points(corners, np.tile([_TOP_LEFT, _BOTTOM_RIGHT], (len(masks), 1)))
    coords, labels = [], []
    for mask in masks:
        inside = [_any_pixel(rng, mask) for _ in range(plan.num_positive)]
        if rng.random() < 0.5:
            inside[0] = most_inner_pixel(mask)
        outside = _outside(mask)
        is_full = not outside.any()
        coords.append(
            inside
            + [_any_pixel(rng, mask if is_full else outside) for _ in range(plan.num_negative)]
        )
        labels.append(
            [_POSITIVE] * plan.num_positive
            + [_NO_POINT if is_full else _NEGATIVE] * plan.num_negative
        )
    return _as_points(np.array(coords), np.array(labels))


def jitter_box(rng: Rng, mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the box (4,) of a mask; three of four are off by up to 0.2 of their sides."""
    box = np.array(rle.box_of(mask), float)
    if rng.random() < 0.25:
        return box
    sides = np.tile(box[2:] - box[:2], 2)
    noise = np.clip(rng.normal(0, 0.06, 4), -0.2, 0.2) * sides
    return np.asarray(np.clip(box + noise, 0, mask.shape[0]))


def corrections(rng: Rng, predicted: NDArray[np.bool_], truth: NDArray[np.bool_]) -> Points:
    """Return one click a pair, of masks (P, S, S): on any wrong pixel, or on any if none is."""
    coords, labels = [], []
    for mine, right in zip(predicted, truth, strict=True):
        wrong = mine != right
        x, y = _any_pixel(rng, wrong if wrong.any() else np.ones_like(wrong))
        coords.append([[x, y]])
        labels.append([_POSITIVE if right[y, x] else _NEGATIVE])
    return _as_points(np.array(coords), np.array(labels))


def on_device(points: Points, device: torch.device) -> Points:
    """Return the points on a device."""
    return {
        "point_coords": points["point_coords"].to(device),
        "point_labels": points["point_labels"].to(device),
    }


def joined(first: Points, then: Points) -> Points:
    """Return the points of both."""
    return {
        "point_coords": torch.cat([first["point_coords"], then["point_coords"]], 1),
        "point_labels": torch.cat([first["point_labels"], then["point_labels"]], 1),
    }


def _outside(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the pixels near a mask; all others where none is near."""
    near = ~mask & _grown_box(mask)
    return near if near.any() else ~mask


def _grown_box(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the box of a mask, a quarter of its sides larger on each side: where people click."""
    box = np.array(rle.box_of(mask), float)
    margin = np.tile(box[2:] - box[:2], 2) * [-0.25, -0.25, 0.25, 0.25]
    x0, y0, x1, y1 = np.clip(np.rint(box + margin), 0, mask.shape[0]).astype(int)
    grown = np.zeros_like(mask)
    grown[y0:y1, x0:x1] = True
    return grown


def _any_pixel(rng: Rng, mask: NDArray[np.bool_]) -> tuple[int, int]:
    y, x = np.unravel_index(int(rng.choice(np.flatnonzero(mask))), mask.shape)
    return int(x), int(y)


def _as_points(coords: NDArray[np.generic], labels: NDArray[np.generic]) -> Points:
    return {
        "point_coords": torch.from_numpy(coords).float(),
        "point_labels": torch.from_numpy(labels).int(),
    }
