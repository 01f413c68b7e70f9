from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pvtt_flow.core.products import DetectParams
from pvtt_flow.core.timeline import EVERY_FRAME, SamplingParams
from pvtt_flow.stages.detect import Detect
from pvtt_flow.stages.propagate import Propagate
from pvtt_flow.types import Detections, ShotRecord
from pvtt_flow.video.limits import DEFAULT_LIMITS
from tests.stages.fakes import Box, FakeTracker, box_prompt, inspected
from tests.video.clip_maker import encode_images

NUM_FRAMES = 40
HEIGHT_PX, WIDTH_PX = 64, 96
RED, BLUE = (200, 30, 30), (30, 30, 200)
STEADY: Box = (40, 20, 60, 40)


def moving(frame_index: int) -> Box:
    """Square that crosses the picture at its bottom."""
    return (frame_index, 44, frame_index + 16, 60)


class ColorDetector:
    """Sees the red product on all frames, the blue one, with a higher score, on the first ten."""

    classes = ("cup",)

    def __init__(self) -> None:
        self.num_pictures = 0
        self.largest_batch = 0

    def detect(self, pictures: Sequence[NDArray[np.uint8]]) -> list[Detections]:
        self.num_pictures += len(pictures)
        self.largest_batch = max(self.largest_batch, len(pictures))
        return [self._see(picture) for picture in pictures]

    def _see(self, picture: NDArray[np.uint8]) -> Detections:
        found: list[tuple[tuple[int, ...], float]] = []
        is_blue = (picture[..., 2] > 120) & (picture[..., 0] < 100)
        for mask, score in ((is_blue, 0.9), (picture[..., 0] > 120, 0.6)):
            rows, columns = np.nonzero(mask)
            if len(rows) > 60:
                box = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
                found.append((box, score))
        return Detections(
            boxes_xyxy=np.array([box for box, _ in found], np.float32).reshape(-1, 4),
            scores=np.array([score for _, score in found], np.float32),
            labels=("cup",) * len(found),
        )


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Red square in the middle, and a blue one that goes after ten frames."""
    images = []
    for index in range(NUM_FRAMES):
        image = np.full((HEIGHT_PX, WIDTH_PX, 3), 80, np.uint8)
        for box, color in ((STEADY, RED), (moving(index), BLUE)):
            if color is RED or index < 10:
                image[box[1] : box[3], box[0] : box[2]] = color
        images.append(image)
    path = tmp_path_factory.mktemp("recheck") / "two.mp4"
    encode_images(path, images)
    return path


def detected(
    clip: Path,
    detector: ColorDetector,
    *,
    sampling: SamplingParams = EVERY_FRAME,
    **params: object,
) -> ShotRecord:
    chosen = DetectParams.model_validate(params)
    (record,) = Detect(detector, chosen, sampling, DEFAULT_LIMITS)([inspected(clip)])
    assert record.failure is None, record.failure
    return record


def label_of(box_xyxy: tuple[float, ...]) -> str:
    x0, y0 = box_xyxy[:2]
    return "red" if abs(x0 - STEADY[0]) < 3 and abs(y0 - STEADY[1]) < 3 else "blue"


def test_products_are_linked_on_every_nth_frame(clip: Path) -> None:
    record = detected(clip, ColorDetector(), recheck_every=4)
    assert record.searched == tuple(range(0, NUM_FRAMES, 4))
    tracks = {
        label: {s.track for s in record.sightings if label_of(s.box_xyxy) == label}
        for label in ("red", "blue")
    }
    assert tracks == {"blue": {0}, "red": {1}}
    frames = [s.frame_index for s in record.sightings if s.track == 0]
    assert frames == [0, 4, 8]
    assert record.timings.detect_s > 0


def test_the_prompt_frame_is_not_detected_again(clip: Path) -> None:
    detector = ColorDetector()
    detected(clip, detector, recheck_every=4)
    assert detector.num_pictures == NUM_FRAMES / 4
    assert detector.largest_batch <= 8


def test_by_default_one_frame_is_searched(clip: Path) -> None:
    detector = ColorDetector()
    record = detected(clip, detector)
    assert (record.searched, record.sightings) == ((), ())
    assert detector.num_pictures == 1


def test_frames_that_sampling_takes_are_counted(clip: Path) -> None:
    sampling = SamplingParams(stride=2)
    record = detected(clip, ColorDetector(), sampling=sampling, recheck_every=5)
    assert record.searched == (0, 10, 20, 30)


def test_a_product_that_stays_is_chosen_before_one_that_goes(clip: Path) -> None:
    chosen = {}
    for rule in ("score", "product"):
        record = detected(clip, ColorDetector(), choose=rule, recheck_every=4)
        chosen[rule] = [label_of(prompt.box_xyxy or ()) for prompt in record.prompts]
    assert chosen == {"score": ["blue"], "product": ["red"]}


def test_a_shot_with_prompts_of_its_own_is_searched_too(clip: Path) -> None:
    """Without a product of the detector; masks are compared with what it sees."""
    own = box_prompt(0, STEADY)
    params = DetectParams(add_products="never", recheck_every=10)
    stage = Detect(ColorDetector(), params, EVERY_FRAME, DEFAULT_LIMITS)
    (record,) = stage([inspected(clip, own)])
    assert record.prompts == (own,)
    assert record.searched == (0, 10, 20, 30)
    assert {label_of(s.box_xyxy) for s in record.sightings} == {"red", "blue"}


def test_masks_are_compared_with_what_is_seen(clip: Path) -> None:
    """Objects: one stays on the red product, one where the blue one was."""
    record = detected(clip, ColorDetector(), recheck_every=20)
    prompts = (box_prompt(0, STEADY), box_prompt(1, moving(0)))
    tracker = FakeTracker(lambda object_id, _: (STEADY, moving(0))[object_id])
    stage = Propagate(tracker, EVERY_FRAME, DEFAULT_LIMITS)
    (done,) = stage([replace(record, prompts=prompts)])
    red, blue = (
        {f.frame_index: f.detector_iou for f in m.frames if f.detector_iou is not None}
        for m in done.masklets
    )
    assert red.keys() == blue.keys() == {0, 20}
    assert min(red.values()) > 0.85
    assert blue[0] > 0.85
    assert blue[20] == 0.0
