from collections.abc import Iterator
from pathlib import Path

import pytest

from pvtt_flow.core.appearance import MeasureParams
from pvtt_flow.core.qc import measure
from pvtt_flow.core.timeline import EVERY_FRAME
from pvtt_flow.models.tracker import PromptedShot, TrackedFrame
from pvtt_flow.stages.propagate import Finish, Propagate
from pvtt_flow.types import Masklet, ShotRecord
from pvtt_flow.video.limits import DEFAULT_LIMITS
from tests.stages.fakes import Box, FakeTracker, box_prompt, prompted
from tests.video.clip_maker import write_clip

NUM_FRAMES = 8
LEFT: Box = (0, 10, 20, 30)
RIGHT: Box = (10, 10, 30, 30)
FAR: Box = (60, 10, 80, 30)


class TwoPasses:
    """Tracker that goes astray before frame 4 on its way back."""

    def __init__(self, *, last_seen: int = NUM_FRAMES - 1) -> None:
        self.shots: list[PromptedShot] = []
        self._last_seen = last_seen

    def track(self, shot: PromptedShot) -> Iterator[TrackedFrame]:
        self.shots.append(shot)
        is_back = len(self.shots) > 1

        def box_at(object_id: int, frame_index: int) -> Box | None:
            if object_id == 1:
                return FAR
            if frame_index > self._last_seen:
                return None
            return RIGHT if is_back and frame_index < 4 else LEFT

        yield from FakeTracker(box_at).track(shot)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("backward") / "mug.mp4", NUM_FRAMES)


def tracked(record: ShotRecord, tracker: TwoPasses, *, backward: bool = True) -> list[Masklet]:
    finish = Finish(measure=MeasureParams(appearance=False, backward=backward))
    (done,) = Propagate(tracker, EVERY_FRAME, DEFAULT_LIMITS, finish=finish)([record])
    assert done.failure is None, done.failure
    return list(done.masklets)


def overlaps(masklet: Masklet) -> list[float | None]:
    return [
        None if frame.backward_iou is None else round(frame.backward_iou, 3)
        for frame in masklet.frames
    ]


def test_the_way_back_is_compared_with_the_way_there(clip: Path) -> None:
    tracker = TwoPasses()
    record = prompted(clip, box_prompt(0, LEFT), box_prompt(1, FAR))
    astray, steady = tracked(record, tracker)
    # 10 of 30 columns are in both; the last mask is where it begins.
    assert overlaps(astray) == [0.333] * 4 + [1.0] * 3 + [None]
    assert overlaps(steady) == [1.0] * 7 + [None]
    (there, back) = tracker.shots
    assert {place: len(prompts) for place, prompts in back.prompts.items()} == {7: 2}
    assert there.prompts.keys() == {0}
    m = measure(astray.frames, astray.prompts, width_px=96, height_px=64)
    assert m.backward_iou_mean == pytest.approx((4 / 3 + 3) / 7)
    assert m.backward_iou_prompt == pytest.approx(1 / 3)


def test_it_begins_at_the_last_mask_and_ends_at_the_prompt(clip: Path) -> None:
    tracker = TwoPasses(last_seen=5)
    (masklet,) = tracked(prompted(clip, box_prompt(0, LEFT, frame_index=2)), tracker)
    assert overlaps(masklet) == [None, None, 0.333, 0.333, 1.0, None, None, None]
    back = tracker.shots[1]
    assert [frame.frame_index for frame in back.read(0, None)] == [2, 3, 4, 5]
    (prompt,) = back.prompts[3]
    assert prompt.mask_rle == masklet.frames[5].rle


@pytest.mark.parametrize("last_seen", [-1, 0])
def test_without_a_way_there_is_no_way_back(clip: Path, last_seen: int) -> None:
    """Masks: none, or the prompted one alone."""
    tracker = TwoPasses(last_seen=last_seen)
    (masklet,) = tracked(prompted(clip, box_prompt(0, LEFT)), tracker)
    assert overlaps(masklet) == [None] * NUM_FRAMES
    assert len(tracker.shots) == 1


def test_by_default_there_is_one_pass(clip: Path) -> None:
    tracker = TwoPasses()
    (masklet,) = tracked(prompted(clip, box_prompt(0, LEFT)), tracker, backward=False)
    assert overlaps(masklet) == [None] * NUM_FRAMES
    assert len(tracker.shots) == 1
    assert MeasureParams().backward is False
