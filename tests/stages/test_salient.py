import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pvtt_flow.core.appearance import MeasureParams
from pvtt_flow.core.salient import SalientParams
from pvtt_flow.core.timeline import EVERY_FRAME
from pvtt_flow.models.salient import SalientModel
from pvtt_flow.stages.propagate import Finish, Propagate
from pvtt_flow.types import Masklet
from pvtt_flow.video.limits import DEFAULT_LIMITS
from tests.models.salient_files import write_model
from tests.stages.fakes import Box, FakeTracker, box_prompt, inspected
from tests.video.clip_maker import encode_images

NUM_FRAMES, HEIGHT_PX, WIDTH_PX = 8, 64, 96
BRIGHT: Box = (16, 16, 48, 48)
DARK: Box = (60, 8, 90, 40)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bright square that stays, on black."""
    image = np.zeros((HEIGHT_PX, WIDTH_PX, 3), np.uint8)
    image[BRIGHT[1] : BRIGHT[3], BRIGHT[0] : BRIGHT[2]] = 230
    path = tmp_path_factory.mktemp("salient") / "bright.mp4"
    encode_images(path, [image] * NUM_FRAMES)
    return path


def track(clip: Path, tmp_path: Path, every: int, *boxes: Box) -> tuple[Masklet, ...]:
    """Track objects that stay in their boxes, from frame 1 on, but for frame 4."""
    path = write_model(tmp_path / "bright.onnx")
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    params = SalientParams(weights=str(path), sha256=sha256, every=every)
    finish = Finish(
        measure=MeasureParams(salient=params), salient=SalientModel(path, params, "cpu")
    )
    prompts = tuple(box_prompt(number, box, 1) for number, box in enumerate(boxes))
    record = replace(inspected(clip), prompts=prompts)

    def box_at(object_id: int, frame_index: int) -> Box | None:
        return None if frame_index == 4 else boxes[object_id]

    stage = Propagate(FakeTracker(box_at), EVERY_FRAME, DEFAULT_LIMITS, finish=finish)
    (done,) = stage([record])
    assert done.failure is None, done.failure
    return done.masklets


def test_masks_agree_with_the_subject_of_the_picture_or_not(clip: Path, tmp_path: Path) -> None:
    bright, dark = track(clip, tmp_path, 3, BRIGHT, DARK)
    measured = [i for i, frame in enumerate(bright.frames) if frame.salient_iou is not None]
    # Each third, and the prompted one.
    assert measured == [0, 1, 3, 6]
    for frame in measured:
        assert bright.frames[frame].salient_iou == pytest.approx(1, abs=0.1)
        assert dark.frames[frame].salient_iou == 0


def test_absent_objects_are_not_compared(clip: Path, tmp_path: Path) -> None:
    (bright,) = track(clip, tmp_path, 1, BRIGHT)
    measured = [i for i, frame in enumerate(bright.frames) if frame.salient_iou is not None]
    assert measured == [0, 1, 2, 3, 5, 6, 7]
