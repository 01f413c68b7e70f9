from collections.abc import Iterator

import numpy as np
import pytest

from pvtt_flow.models import checkpoints
from pvtt_flow.models.baselines.build import build_baseline
from pvtt_flow.models.baselines.sam_per_frame import SamPerFrame
from pvtt_flow.models.sam2.threaded_tracker import ThreadedTracker
from pvtt_flow.models.tracker import PromptedShot, TrackedFrame, TrackedObject, TrackerParams
from tests.models.sam2.shots import rendered

NOTHING = np.zeros((8, 8), np.bool_)


class Blind:
    """Segmenter that finds nothing, and counts the prompts."""

    num_prompts = 0

    def track(self, shot: PromptedShot) -> Iterator[TrackedFrame]:
        self.num_prompts += len(shot.prompts[0])
        objects = tuple(TrackedObject(p.object_id, NOTHING, -1.0, 0.0) for p in shot.prompts[0])
        yield TrackedFrame(0, 0, objects)


def test_a_lost_object_stays_lost_until_its_next_mask() -> None:
    segmenter = Blind()
    one_pass = SamPerFrame(segmenter)
    image = np.zeros((8, 8, 3), np.uint8)
    square = NOTHING.copy()
    square[2:4, 2:4] = True
    assert np.array_equal(one_pass.step(image, {4: square})[4], square)
    # The box of the square finds nothing, and then there is no box.
    assert [one_pass.step(image, {})[4].any() for _ in range(3)] == [False] * 3
    assert segmenter.num_prompts == 1
    assert np.array_equal(one_pass.step(image, {4: square})[4], square)


@pytest.mark.usefixtures("one_thread")
def test_it_follows_a_product_through_a_rendered_clip() -> None:
    shot, truth = rendered(5, 8)
    params = TrackerParams.model_validate(
        {"device": "cpu", "baseline": {"method": "sam_per_frame"}}
    )
    segmenter = ThreadedTracker(
        checkpoints.embedded_file("sam2_embedded.pt"),
        checkpoints.embedded_file("sam2_embedded.yaml"),
        params,
    )
    found = list(build_baseline(segmenter, None, params).track(shot.prompted))
    segmenter.close()
    assert [f.frame_index // 3 for f in found] == list(range(8))
    masks = np.stack([f.objects[0].mask for f in found])
    overlap = (masks & truth).sum((1, 2)) / (masks | truth).sum((1, 2))
    assert overlap.mean() > 0.65
