"""Results under autocast to bfloat16, against those of the official predictor."""

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray
from torch import Tensor

from pvtt_flow.training.evaluate_segmenter import held_out_clips, prompt_of
from tests.models.sam2.compare import outputs_by_object
from tests.models.sam2.official import ObjectOutput
from tests.models.sam2.pair import Pair
from tests.models.sam2.run_scheduler import run
from tests.models.sam2.shots import Shot, frame

NUM_CLIPS = 6
MIN_IOU = 0.99

OutputPair = tuple[dict[tuple[int, int], ObjectOutput], dict[tuple[int, int], ObjectOutput]]


def rendered_clips() -> Iterator[Shot]:
    for clip in held_out_clips(NUM_CLIPS):
        prompt = prompt_of("box", clip.masks[0])
        yield Shot([frame(i, rgb) for i, rgb in enumerate(clip.frames)], {0: [prompt]})


@pytest.fixture(scope="module")
def tracked(embedded: Pair) -> list[OutputPair]:
    """Outputs for each clip: the scheduler's and the official predictor's."""
    shots = list(rendered_clips())
    results = run(embedded.model, shots, "forward", bfloat16=True)
    return [
        (
            outputs_by_object(shot, shot_results),
            embedded.expected(shot, "forward", bfloat16=True),
        )
        for shot, shot_results in zip(shots, results, strict=True)
    ]


def iou(first: Tensor, second: Tensor) -> float:
    union = (first | second).sum().item()
    return (first & second).sum().item() / union if union else 1.0


def ious(tracked: list[OutputPair]) -> NDArray[np.float64]:
    return np.array(
        [
            iou(actual[key].mask, output.mask)
            for actual, expected in tracked
            for key, output in expected.items()
        ]
    )


def test_masks_equal_the_official_ones(tracked: list[OutputPair]) -> None:
    """Masks differ where two candidates have nearly equal scores, which bfloat16 makes frequent."""
    first_percentile = np.percentile(ious(tracked), 1)
    assert first_percentile >= MIN_IOU


def test_prompted_frames_have_the_same_candidate(tracked: list[OutputPair]) -> None:
    """Prompted frames are computed in the official order, so the same candidate is chosen.

    On CPUs with AMX, kernels for several pictures at once round the last bits otherwise.
    """
    for actual, expected in tracked:
        logits = expected[0, 0].logits
        difference = (actual[0, 0].logits - logits).abs().max().item()
        assert difference <= 4 * spacing(logits.abs().max().item())
        assert abs(actual[0, 0].iou - expected[0, 0].iou) <= spacing(0.99)


def spacing(value: float) -> float:
    """Return the distance of neighboring bfloat16 numbers, which have 8 significant bits."""
    return float(2.0 ** (np.floor(np.log2(value)) - 7))
