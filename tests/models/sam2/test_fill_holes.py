"""Hole filling, against the official code with a replacement of its CUDA extension."""

import sys
from types import ModuleType

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from pvtt_flow.core import rle
from pvtt_flow.models.sam2.mask_output import fill_holes
from pvtt_flow.types import Prompt
from tests.models.sam2.pair import Pair
from tests.models.sam2.run_scheduler import Direction
from tests.models.sam2.shots import HEIGHT_PX, OFF, ON, WIDTH_PX, box, clicks, shot

MAX_AREA_PX = 8


def logits_of(*rows: str) -> Tensor:
    return torch.tensor([[[5.0 if c == "#" else -5.0 for c in row] for row in rows]])


def filled(max_area_px: int, *rows: str) -> list[str]:
    logits = fill_holes(logits_of(*rows), max_area_px)[0]
    return ["".join({5.0: "#", -5.0: "."}.get(v, "o") for v in row) for row in logits.tolist()]


def test_small_background_components_become_object() -> None:
    assert filled(2, "#####", "#.#.#", "#.#.#", "#.###", "#####") == [
        "#####",
        "#.#o#",
        "#.#o#",
        "#.###",
        "#####",
    ]


def test_components_that_touch_at_a_corner_are_one() -> None:
    assert filled(2, "####", "#.##", "##.#", "#.##", "####")[1] == "#.##"
    assert filled(3, "####", "#.##", "##.#", "#.##", "####")[1] == "#o##"


def test_filled_logits_are_just_above_the_threshold() -> None:
    logits = fill_holes(logits_of("###", "#.#", "###"), 1)
    assert logits[0, 1, 1].item() == pytest.approx(0.1)


def test_zero_fills_nothing() -> None:
    logits = logits_of("#.#")
    assert fill_holes(logits, 0) is logits


def test_objects_are_filled_separately() -> None:
    both = torch.cat([logits_of("###", "#.#", "###"), logits_of("...", "...", "..#")])
    logits = fill_holes(both, 1)
    assert (logits[0] > 0).all()
    assert torch.equal(logits[1], both[1])


@pytest.fixture
def num_filled(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Install a CPU version of `sam2._C`; return the number of pixels that each call fills."""
    filled: list[int] = []

    def components(masks: Tensor) -> tuple[Tensor, Tensor]:
        labels, areas = np.zeros(masks.shape, np.int32), np.zeros(masks.shape, np.int32)
        for i, mask in enumerate(masks[:, 0].numpy()):
            _, labels[i, 0], stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
            areas[i, 0] = np.where(mask, stats[labels[i, 0], cv2.CC_STAT_AREA], 0)
        filled.append(int(((labels > 0) & (areas <= MAX_AREA_PX)).sum()))
        return torch.from_numpy(labels), torch.from_numpy(areas)

    extension = ModuleType("sam2._C")
    vars(extension)["get_connected_componnets"] = components
    monkeypatch.setitem(sys.modules, "sam2._C", extension)
    return filled


def mask_with_a_hole(object_id: int) -> Prompt:
    mask = np.zeros((HEIGHT_PX, WIDTH_PX), np.bool_)
    mask[20:44, 8:32] = True
    mask[29:35, 17:23] = False
    return Prompt(object_id=object_id, frame_index=0, mask_rle=rle.encode(mask))


@pytest.mark.parametrize("direction", ["forward", "both"])
def test_filled_masks_equal_the_official_ones(
    untrained: Pair,
    direction: Direction,
    num_filled: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(untrained.official.predictor, "fill_hole_area", MAX_AREA_PX)
    correction = clicks(0, (26, 30, ON), (80, 60, OFF), correction=True)
    whole_frame = (1, box(0, 0, 0, WIDTH_PX, HEIGHT_PX))
    shot_with_holes = shot(12, whole_frame, (4, correction), (0, mask_with_a_hole(1)))
    untrained.difference([shot_with_holes], direction, fill_holes_px=MAX_AREA_PX).check()
    # Each call is one frame of one object: its prompted frame, then tracked frames.
    assert num_filled[0] > 0
    assert sum(count > 0 for count in num_filled) >= 4
