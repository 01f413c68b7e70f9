"""A still is a shot of one frame: masks and scores are those of SAM 2's image predictor."""

import copy

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sam2.sam2_image_predictor import SAM2ImagePredictor

from pvtt_flow.models.sam2.model import Sam2
from pvtt_flow.types import Prompt
from tests.models.sam2.pair import Pair
from tests.models.sam2.run_scheduler import run
from tests.models.sam2.shots import OFF, ON, Shot, box, clicks, frame

SIDE_PX = 128
BOX = (30.0, 20.0, 90.0, 100.0)
# Logits that the image predictor returns are cut here.
LIMIT = 32.0


def still() -> NDArray[np.uint8]:
    """Make a picture of the model's size, so that no resize differs."""
    coarse = np.random.default_rng(0).integers(0, 255, (8, 8, 3), np.uint8)
    return np.kron(coarse, np.ones((SIDE_PX // 8, SIDE_PX // 8, 1), np.uint8))


@pytest.mark.parametrize(
    ("prompt", "multimask"),
    [
        (box(0, *BOX), False),
        # The best of three masks for one click, as in a video.
        (clicks(0, (60, 60, ON)), True),
        (clicks(0, (60, 60, ON), (20, 20, OFF)), False),
    ],
)
def test_a_still_has_the_masks_of_the_image_predictor(
    embedded: Pair, prompt: Prompt, *, multimask: bool
) -> None:
    predictor = copy.deepcopy(embedded.official.predictor)
    assert predictor.image_size == SIDE_PX
    images = SAM2ImagePredictor(predictor)
    # It has those of 1024 px written into its code.
    images._bb_feat_sizes = [(SIDE_PX // stride, SIDE_PX // stride) for stride in (4, 8, 16)]
    images.set_image(still())
    _, scores, low_res = images.predict(
        point_coords=np.array(prompt.points_xy) if prompt.points_xy else None,
        point_labels=np.array(prompt.point_labels) if prompt.points_xy else None,
        box=None if prompt.box_xyxy is None else np.array(prompt.box_xyxy),
        multimask_output=multimask,
        return_logits=True,
    )
    best = int(np.argmax(scores))
    shot = Shot([frame(0, still())], {0: [prompt]})
    ((result,),) = run(Sam2(predictor), [shot], "both")
    logits = result.logits[0].clamp(-LIMIT, LIMIT)
    assert (logits - torch.from_numpy(low_res[best])).abs().max() < 1e-4
    assert result.predicted_ious[0].item() == pytest.approx(float(scores[best]), abs=1e-5)
