from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pvtt_flow.core import rle
from pvtt_flow.core.timeline import EVERY_FRAME
from pvtt_flow.stages.propagate import Finish, Propagate
from pvtt_flow.types import Masklet, Prompt, ShotRecord, Sighting
from pvtt_flow.video.limits import DEFAULT_LIMITS
from tests.stages.fakes import Box, FakeTracker, box_prompt, inspected
from tests.video.clip_maker import HEIGHT_PX, WIDTH_PX, write_clip

NUM_FRAMES = 8
MUG: Box = (10, 10, 30, 30)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("boxes") / "mug.mp4", NUM_FRAMES)


def seen(frame_index: int, box_xyxy: tuple[float, ...], track: int = 0) -> Sighting:
    return Sighting(frame_index=frame_index, track=track, label="mug", box_xyxy=box_xyxy, score=0.9)


def masklets(record: ShotRecord) -> list[Masklet]:
    def no_box(object_id: int, frame_index: int) -> Box:
        raise AssertionError(f"object {object_id} must not be tracked on frame {frame_index}")

    finish = Finish(boxes_only=True)
    (done,) = Propagate(FakeTracker(no_box), EVERY_FRAME, DEFAULT_LIMITS, finish=finish)([record])
    assert done.failure is None, done.failure
    assert done.num_frames == NUM_FRAMES
    return list(done.masklets)


def shot(clip: Path, prompts: tuple[Prompt, ...], *sightings: Sighting) -> ShotRecord:
    """Return a shot that was searched on every second frame."""
    searched = tuple(range(0, NUM_FRAMES, 2))
    return replace(inspected(clip), prompts=prompts, searched=searched, sightings=sightings)


def boxes_of(masklet: Masklet) -> list[tuple[int, ...] | None]:
    return [frame.box_xyxy for frame in masklet.frames]


def test_the_box_of_the_prompted_product_is_the_mask(clip: Path) -> None:
    record = shot(
        clip,
        (box_prompt(0, MUG),),
        seen(0, (11.2, 10.0, 30.0, 30.0)),
        seen(0, (60.0, 10.0, 80.0, 30.0), 1),
        seen(2, (14.0, 10.0, 34.0, 30.0)),
        seen(4, (60.0, 10.0, 80.0, 30.0), 1),
        seen(6, (20.0, 10.0, 40.0, 30.0)),
    )
    (masklet,) = masklets(record)
    first, later, last = (11, 10, 30, 30), (14, 10, 34, 30), (20, 10, 40, 30)
    # A box stays until the next frame that is searched; on the third one it is not seen.
    assert boxes_of(masklet) == [first, first, later, later, None, None, last, last]
    assert masklet.frames[2].area_px == 20 * 20
    assert masklet.frames[2].predicted_iou is None
    assert masklet.frames[0].detector_iou == pytest.approx(18.8 / 19)


def test_each_object_has_its_product(clip: Path) -> None:
    right = (60, 10, 80, 30)
    mask = np.zeros((HEIGHT_PX, WIDTH_PX), np.bool_)
    mask[10:30, 60:80] = True
    prompts = (
        box_prompt(0, MUG),
        Prompt(object_id=1, frame_index=2, mask_rle=rle.encode(mask)),
        box_prompt(2, (40, 40, 50, 50)),
    )
    found = masklets(
        shot(
            clip, prompts, *(seen(i, box, n) for i in (0, 2) for n, box in enumerate((MUG, right)))
        )
    )
    assert [boxes_of(masklet)[2] for masklet in found] == [MUG, right, None]
    assert [boxes_of(masklet)[5] for masklet in found] == [None] * 3
