from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pvtt_flow.core.cleaning import CleanParams
from pvtt_flow.core.repair import RepairParams
from pvtt_flow.core.timeline import EVERY_FRAME
from pvtt_flow.models.tracker import PromptedShot, TrackedFrame
from pvtt_flow.stages.propagate import Finish, Propagate
from pvtt_flow.types import Masklet, Prompt, ShotRecord, Sighting
from pvtt_flow.video.limits import DEFAULT_LIMITS
from tests.stages.fakes import Box, FakeTracker, box_prompt, inspected
from tests.video.clip_maker import encode_images

NUM_FRAMES = 24
HEIGHT_PX, WIDTH_PX = 96, 128
RED, BLUE, GRAY = (200, 30, 30), (30, 30, 200), 80
LOST = range(10, 18)
"""Frames on which the tracker loses the object, which is there."""


def place_of(frame_index: int) -> Box:
    return 20 + frame_index, 30, 56 + frame_index, 66


ELSEWHERE: Box = (90, 2, 120, 20)


class Tracks:
    """Tracker that loses the object, unless a later prompt shows it; counts its calls."""

    def __init__(self, *, finds_it_again: bool = True, shows: Box | None = None) -> None:
        self.shots: list[PromptedShot] = []
        self._finds_it_again = finds_it_again
        self._shows = shows
        """Box that is tracked instead of the lost object."""

    def track(self, shot: PromptedShot) -> Iterator[TrackedFrame]:
        self.shots.append(shot)
        is_again = len(self.shots) > 1

        def box_at(_: int, frame_index: int) -> Box | None:
            if frame_index not in LOST or (is_again and self._finds_it_again):
                return place_of(frame_index)
            return self._shows

        yield from FakeTracker(box_at).track(shot)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Red square that moves to the right, below a blue one that stays."""
    images = []
    for index in range(NUM_FRAMES):
        image = np.full((HEIGHT_PX, WIDTH_PX, 3), GRAY, np.uint8)
        for (x0, y0, x1, y1), color in ((place_of(index), RED), (ELSEWHERE, BLUE)):
            image[y0:y1, x0:x1] = color
        images.append(image)
    path = tmp_path_factory.mktemp("repair") / "moving.mp4"
    encode_images(path, images)
    return path


def seen(frame_index: int, box_xyxy: Box, score: float = 0.8) -> Sighting:
    box = tuple(float(v) for v in box_xyxy)
    return Sighting(frame_index=frame_index, track=0, label="mug", box_xyxy=box, score=score)


def searched(clip: Path, *sightings: Sighting) -> ShotRecord:
    """Return a shot that was searched on every fourth frame."""
    return replace(
        inspected(clip),
        prompts=(box_prompt(0, place_of(0)),),
        searched=tuple(range(0, NUM_FRAMES, 4)),
        sightings=sightings,
    )


EVERYWHERE = tuple(seen(index, place_of(index)) for index in range(0, NUM_FRAMES, 4))


def repair(
    record: ShotRecord, tracker: Tracks, *, clean: CleanParams | None = None, **params: object
) -> Masklet:
    settings = RepairParams.model_validate({"attempts": 2} | params)
    finish = Finish(clean=clean or CleanParams(), repair=settings)
    (done,) = Propagate(tracker, EVERY_FRAME, DEFAULT_LIMITS, finish=finish)([record])
    assert done.failure is None, done.failure
    (masklet,) = done.masklets
    return masklet


def boxes_of(masklet: Masklet) -> list[tuple[int, ...] | None]:
    return [frame.box_xyxy for frame in masklet.frames]


def test_a_lost_object_is_found_again(clip: Path) -> None:
    found = repair(searched(clip, *EVERYWHERE), Tracks())
    assert boxes_of(found) == [place_of(index) for index in range(NUM_FRAMES)]
    (repaired,) = found.repairs
    assert (repaired.start_frame, repaired.stop_frame) == (10, 18)
    assert repaired.prompt_frame in {12, 16}
    assert list(repaired.box_xyxy) == list(place_of(repaired.prompt_frame))
    assert repaired.kept
    assert repaired.cycle_iou == 1
    assert repaired.gain is not None
    assert repaired.gain > 0.5
    # Frames that were tracked again are measured like all others.
    assert all(frame.appearance is not None for frame in found.frames)
    assert all(frame.previous_iou is not None for frame in found.frames[1:])
    # The prompts that the masklet tells of are those that were given.
    assert len(found.prompts) == 1
    assert [f.frame_index for f in found.frames if "prompted" in f.flags] == [0]


def test_the_run_alone_is_tracked_between_the_masks_beside_it(clip: Path) -> None:
    tracker = Tracks()
    found = repair(searched(clip, *EVERYWHERE), tracker)
    whole, cycle, run = tracker.shots
    assert [f.frame_index for f in run.read(0, None)] == list(range(9, 19))
    prompts: dict[int, list[Prompt]] = {at: list(given) for at, given in run.prompts.items()}
    at = found.repairs[0].prompt_frame - 9
    assert prompts.keys() == {0, at, 9}
    assert [prompts[place][0].mask_rle for place in (0, 9)] == [
        found.frames[9].rle, found.frames[18].rle,
    ]  # fmt: skip
    assert prompts[at][0].box_xyxy == place_of(at + 9)
    assert [f.frame_index for f in whole.read(0, None)] == list(range(NUM_FRAMES))
    # The product alone is tracked back to the prompted frame.
    assert [f.frame_index for f in cycle.read(0, None)] == list(range(at + 10))
    assert {place: given[0].box_xyxy for place, given in cycle.prompts.items()} == {
        at + 9: place_of(at + 9)
    }


@pytest.mark.parametrize(
    "sightings",
    [
        # The object was away: nothing is to repair.
        (),
        # What is seen has other colors.
        tuple(seen(index, ELSEWHERE) for index in range(0, NUM_FRAMES, 4)),
        # Two that are alike: any of them may be the object.
        tuple(
            seen(index, box)
            for index in range(0, NUM_FRAMES, 4)
            for box in (place_of(index), place_of(index + 1))
        ),
    ],
)
def test_nothing_is_tracked_again_without_a_proposal(
    clip: Path, sightings: tuple[Sighting, ...]
) -> None:
    tracker = Tracks()
    found = repair(searched(clip, *sightings), tracker)
    assert len(tracker.shots) == 1
    assert found.repairs == ()
    assert [frame.rle is None for frame in found.frames] == [i in LOST for i in range(NUM_FRAMES)]


def test_masks_that_are_no_better_are_not_kept(clip: Path) -> None:
    tracker = Tracks(finds_it_again=False)
    found = repair(searched(clip, *EVERYWHERE), tracker)
    assert len(tracker.shots) == 3
    assert [(each.kept, each.gain) for each in found.repairs] == [(False, 0.0)]
    assert found.frames[12].rle is None


def test_a_product_that_leads_elsewhere_is_another_one(clip: Path) -> None:
    """Tracker: goes back from the lost frames to the other product."""

    class LeadsElsewhere(Tracks):
        def track(self, shot: PromptedShot) -> Iterator[TrackedFrame]:
            is_cycle = 0 not in shot.prompts
            for frame in super().track(shot):
                moved = (
                    replace(item, mask=np.roll(item.mask, 60, axis=1)) for item in frame.objects
                )
                yield replace(frame, objects=tuple(moved)) if is_cycle else frame

    tracker = LeadsElsewhere()
    found = repair(searched(clip, *EVERYWHERE), tracker)
    assert len(tracker.shots) == 2
    (tried,) = found.repairs
    assert (tried.cycle_iou, tried.gain, tried.kept) == (0.0, None, False)
    assert found.frames[12].rle is None


@pytest.mark.parametrize("rise", [0.9, 1.0])
def test_masks_must_agree_more_with_the_detector(clip: Path, rise: float) -> None:
    """The detector is a pixel off, so that the boxes overlap by .95 where there was no mask."""
    sightings = (seen(index, place_of(index + 1)) for index in range(0, NUM_FRAMES, 4))
    found = repair(searched(clip, *sightings), Tracks(), min_agreement_gain=rise)
    (tried,) = found.repairs
    assert tried.gain is not None
    assert tried.gain > 0.5
    assert tried.kept == (rise < 0.95)
    assert (found.frames[12].rle is not None) == tried.kept


def test_a_prompt_in_doubt_is_no_base(clip: Path) -> None:
    tracker = Tracks()
    found = repair(searched(clip, *EVERYWHERE), tracker, max_prompt_doubt=0.0)
    assert (len(tracker.shots), found.repairs) == (1, ())


def test_new_masks_are_cleaned_as_all_others(clip: Path) -> None:
    clean = CleanParams(open_px=2)
    found = repair(searched(clip, *EVERYWHERE), Tracks(), clean=clean)
    assert found.frames[12].area_px == found.frames[5].area_px
    assert found.frames[12].area_px < 36 * 36  # its corners are gone


def test_frames_that_are_not_to_be_tracked_stay_without_masks(clip: Path) -> None:
    """Tracker: forward from frame 8 on; the object is seen before."""

    class Forward(Tracks):
        def track(self, shot: PromptedShot) -> Iterator[TrackedFrame]:
            for frame in super().track(shot):
                early = frame.frame_index < 8
                yield replace(frame, objects=()) if early else frame

    tracker = Forward(shows=place_of(13))
    record = replace(searched(clip, *EVERYWHERE), prompts=(box_prompt(0, place_of(8), 8),))
    found = repair(record, tracker)
    assert all(frame.rle is None for frame in found.frames[:8])
    assert all(each.start_frame >= 8 for each in found.repairs)


def test_by_default_nothing_is_repaired(clip: Path) -> None:
    tracker = Tracks()
    stage = Propagate(tracker, EVERY_FRAME, DEFAULT_LIMITS)
    (done,) = stage([searched(clip, *EVERYWHERE)])
    assert len(tracker.shots) == 1
    assert done.masklets[0].repairs == ()
