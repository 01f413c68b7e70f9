import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from numpy.typing import NDArray

from pvtt_flow.errors import DataError
from pvtt_flow.models.baselines.baseline_tracker import BaselineTracker
from pvtt_flow.models.tracker import (
    ForeignStateError,
    PromptedShot,
    TrackedFrame,
    TrackedObject,
    TrackerParams,
)
from pvtt_flow.types import Prompt
from tests.models.sam2.shots import ON, Shot, box, frame

SIDE_PX = 16
SAM_SCORE, SAM_IOU = 5.0, 0.75


def filled(x0: float, y0: float, x1: float, y1: float) -> NDArray[np.bool_]:
    mask = np.zeros((SIDE_PX, SIDE_PX), np.bool_)
    mask[int(y0) : int(y1), int(x0) : int(x1)] = True
    return mask


@dataclass
class Boxes:
    """Segmenter that fills boxes."""

    asked: list[Prompt] = field(default_factory=list)

    def track(self, shot: PromptedShot) -> Iterator[TrackedFrame]:
        (only,) = shot.read(0, None)
        self.asked += shot.prompts[0]
        objects = tuple(
            TrackedObject(p.object_id, filled(*(p.box_xyxy or (0, 0, 1, 1))), SAM_SCORE, SAM_IOU)
            for p in shot.prompts[0]
        )
        yield TrackedFrame(only.frame_index, only.pts_ns, objects)


@dataclass
class Held:
    """Pass in which objects stay where their mask was given; knows what it was shown."""

    seen: list[int]
    in_use: threading.Lock = field(default_factory=threading.Lock)
    masks: dict[int, NDArray[np.bool_]] = field(default_factory=dict)

    def step(
        self, frame: NDArray[np.uint8], masks: Mapping[int, NDArray[np.bool_]]
    ) -> Mapping[int, NDArray[np.float32]]:
        assert self.in_use.acquire(blocking=False), "two frames at once"
        self.seen.append(int(frame[0, 0, 0]))
        self.masks |= masks
        self.in_use.release()
        return {i: np.where(mask, 0.75, 0.125).astype(np.float32) for i, mask in self.masks.items()}


@dataclass
class Holding:
    """Starts `Held` passes."""

    passes: list[Held] = field(default_factory=list)
    in_use: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self) -> Held:
        self.passes.append(Held([], self.in_use))
        return self.passes[-1]


def shot(num_frames: int, prompts: Mapping[int, list[Prompt]]) -> Shot:
    """Make a shot whose pixels are the number of their frame."""
    blank = np.ones((SIDE_PX, SIDE_PX, 3), np.uint8)
    return Shot([frame(i, blank * i) for i in range(num_frames)], prompts)


def tracker(direction: str = "both") -> tuple[BaselineTracker, Boxes, Holding]:
    segmenter, network = Boxes(), Holding()
    params = TrackerParams.model_validate({"direction": direction})
    return BaselineTracker(segmenter, network, params), segmenter, network


def ids(frames: list[TrackedFrame]) -> list[tuple[int, list[int]]]:
    return [(position(f), [o.object_id for o in f.objects]) for f in frames]


def position(tracked: TrackedFrame) -> int:
    # Each third frame of the video is processed.
    return tracked.frame_index // 3


LEFT, RIGHT = (0.0, 0.0, 4.0, 4.0), (8.0, 8.0, 12.0, 12.0)


def test_objects_enter_at_their_prompts_and_go_back_from_there() -> None:
    baseline, _, network = tracker()
    asked = shot(5, {0: [box(1, *RIGHT)], 2: [box(0, *LEFT)]})
    found = list(baseline.track(asked.prompted))
    forward = [(0, [1]), (1, [1]), (2, [0, 1]), (3, [0, 1]), (4, [0, 1])]
    assert ids(found) == [*forward, (1, [0]), (0, [0])]
    for tracked in found:
        for each in tracked.objects:
            expected = filled(*(LEFT if each.object_id == 0 else RIGHT))
            assert np.array_equal(each.mask, expected)
    # The backward pass begins with the mask of its prompt.
    assert [each.seen for each in network.passes] == [[0, 1, 2, 3, 4], [2, 1, 0]]


def test_a_prompted_frame_has_the_numbers_of_the_segmenter() -> None:
    baseline, _, _ = tracker()
    first, second = baseline.track(shot(2, {0: [box(0, *LEFT)]}).prompted)
    (given,), (carried,) = first.objects, second.objects
    assert (given.object_score, given.predicted_iou) == (SAM_SCORE, SAM_IOU)
    # The largest probability is 0.75, which leaves 0.25 to the background.
    assert carried.object_score == pytest.approx(np.log(3))
    assert carried.predicted_iou is None


@pytest.mark.parametrize(
    ("direction", "expected"),
    [
        ("forward", [(0, []), (1, [0]), (2, [0]), (3, [0])]),
        ("backward", [(0, []), (1, []), (2, []), (3, []), (2, [0]), (1, [0]), (0, [0])]),
    ],
)
def test_one_direction(direction: str, expected: list[tuple[int, list[int]]]) -> None:
    baseline, _, _ = tracker(direction)
    asked = shot(4, {1: [box(0, *LEFT)], 2: [box(0, *LEFT)]})
    assert ids(list(baseline.track(asked.prompted))) == expected


def test_a_later_prompt_replaces_the_mask() -> None:
    baseline, _, _ = tracker()
    asked = shot(4, {0: [box(0, *LEFT)], 2: [box(0, *RIGHT)]})
    masks = [each.objects[0].mask for each in baseline.track(asked.prompted)]
    for mask, where in zip(masks, [LEFT, LEFT, RIGHT, RIGHT], strict=True):
        assert np.array_equal(mask, filled(*where))


def test_a_correction_has_the_box_of_the_mask_before() -> None:
    baseline, segmenter, _ = tracker()
    click = Prompt(
        object_id=0, frame_index=2, points_xy=((1.0, 1.0),), point_labels=(ON,), correction=True
    )
    found = list(baseline.track(shot(4, {0: [box(0, *LEFT)], 2: [click]}).prompted))
    assert segmenter.asked[1] == replace(click, box_xyxy=LEFT, correction=False)
    assert [f.objects[0].predicted_iou for f in found] == [SAM_IOU, None, SAM_IOU, None]


def test_a_correction_in_the_backward_pass() -> None:
    baseline, segmenter, network = tracker()
    fix = replace(box(0, *RIGHT), correction=True)
    found = list(baseline.track(shot(4, {1: [fix], 3: [box(0, *LEFT)]}).prompted))
    assert ids(found)[4:] == [(2, [0]), (1, [0]), (0, [0])]
    assert [f.objects[0].mask[0, 0] for f in found[4:]] == [True, False, False]
    assert segmenter.asked[-1].box_xyxy == RIGHT
    assert network.passes[1].seen == [3, 2, 1, 0]


def test_frames_of_a_long_backward_pass_come_in_order() -> None:
    baseline, _, network = tracker()
    found = list(baseline.track(shot(40, {38: [box(0, *LEFT)]}).prompted))
    assert [position(f) for f in found] == [*range(40), *range(37, -1, -1)]
    assert network.passes[1].seen == [*range(38, -1, -1)]


def test_prompts_that_cannot_be_tracked() -> None:
    baseline, _, _ = tracker()
    fix = replace(box(0, *LEFT), correction=True)
    with pytest.raises(DataError, match="must have a prompt that is not a correction") as caught:
        next(baseline.track(shot(2, {0: [fix]}).prompted))
    assert caught.value.kind == "bad_prompt"


def test_a_saved_state_is_foreign() -> None:
    baseline, _, _ = tracker()
    saved = replace(shot(2, {0: [box(0, *LEFT)]}).prompted, saved={})
    with pytest.raises(ForeignStateError):
        next(baseline.track(saved))


def test_shots_of_several_threads() -> None:
    baseline, _, _ = tracker()
    boxes = [(float(n), 0.0, n + 2.0, 4.0) for n in range(6)]

    def track(where: tuple[float, float, float, float]) -> list[TrackedFrame]:
        return list(baseline.track(shot(20, {0: [box(0, *where)]}).prompted))

    with ThreadPoolExecutor(len(boxes)) as threads:
        for where, found in zip(boxes, threads.map(track, boxes), strict=True):
            assert all(np.array_equal(f.objects[0].mask, filled(*where)) for f in found)
