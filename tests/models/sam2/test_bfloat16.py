"""The engine against the official predictor, both under autocast to bfloat16."""

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray
from torch import Tensor

from pvtt_flow.training.evaluate import box_of, held_out_clips
from tests.models.sam2.compare import sights
from tests.models.sam2.official import Reference
from tests.models.sam2.pair import Pair
from tests.models.sam2.run_engine import run
from tests.models.sam2.shots import Shot, box, frame

NUM_CLIPS = 6
MIN_IOU = 0.99

Both = tuple[dict[tuple[int, int], Reference], dict[tuple[int, int], Reference]]


def rendered_clips() -> Iterator[Shot]:
    for _, pictures, masks in held_out_clips(NUM_CLIPS):
        around = (float(side) for side in box_of(masks[0]))
        yield Shot([frame(i, rgb) for i, rgb in enumerate(pictures)], {0: [box(0, *around)]})


@pytest.fixture(scope="module")
def tracked(embedded: Pair) -> list[Both]:
    """What the engine and the official predictor see of each clip."""
    shots = list(rendered_clips())
    seen = run(embedded.model, shots, "forward", bfloat16=True)
    return [
        (sights(shot, own), embedded.expected(shot, "forward", bfloat16=True))
        for shot, own in zip(shots, seen, strict=True)
    ]


def iou(first: Tensor, second: Tensor) -> float:
    union = (first | second).sum().item()
    return (first & second).sum().item() / union if union else 1.0


def ious(tracked: list[Both]) -> NDArray[np.float64]:
    return np.array(
        [
            iou(found[key].mask, reference.mask)
            for found, expected in tracked
            for key, reference in expected.items()
        ]
    )


def test_masks_are_those_of_the_official_predictor(tracked: list[Both]) -> None:
    """All but a few, where two candidates are estimated alike: in bfloat16 that is often."""
    first_percentile = np.percentile(ious(tracked), 1)
    assert first_percentile >= MIN_IOU


def test_prompted_frames_are_rounded_alike(tracked: list[Both]) -> None:
    """Nothing is rearranged there, so that the same candidate is chosen."""
    for found, expected in tracked:
        difference = (found[0, 0].logits - expected[0, 0].logits).abs().max().item()
        assert difference <= 1e-2


def test_it_is_bfloat16(embedded: Pair, tracked: list[Both]) -> None:
    shot = next(rendered_clips())
    exact = embedded.expected(Shot(shot.frames[:1], shot.prompts), "forward")
    assert (tracked[0][0][0, 0].logits - exact[0, 0].logits).abs().max() > 1e-2
