"""The parts of the benchmark that compute; nothing here is timed."""

import json
from collections.abc import Sequence

import numpy as np
import pytest

from pvtt_flow.types import Frame, Prompt
from tests.bench.clips import Clip, Filmed
from tests.bench.compare import (
    OBJECTS,
    Agreement,
    Comparison,
    Plan,
    Spread,
    compare,
    in_turn,
    overlap,
)
from tests.bench.job import Job, JobPlan, Round, Work
from tests.bench.memory import Memory
from tests.bench.results import Results
from tests.bench.systems import Mask, See

AGREEMENT = Agreement(iou_median=1.0, iou_p1=0.99, num_masks=10, share_empty=0.0)


class Fake:
    """Sees every object in the left part of the frame, so many pixels wide."""

    def __init__(self, name: str, width_px: int) -> None:
        self.name = name
        self._width_px = width_px

    def track(self, clips: Sequence[Clip], see: See) -> None:
        for number, clip in enumerate(clips):
            for frame in clip.frames:
                see(number, frame.frame_index, [self._mask() for _ in clip.prompts])

    def _mask(self) -> Mask:
        mask = np.zeros((4, 10), bool)
        mask[:, : self._width_px] = True
        return mask


def clip(num_frames: int) -> Filmed:
    frames = (Frame(i, i, np.zeros((4, 10, 3), np.uint8)) for i in range(num_frames))
    boxes = (Prompt(object_id=i, frame_index=0, box_xyxy=(0, 0, 2, 2)) for i in range(5))
    return Filmed(tuple(frames), tuple(boxes))


def comparison(official: dict[int, list[float]], engine: dict[int, list[float]]) -> Comparison:
    plan = Plan(num_clips=2, num_frames=10, num_rounds=3, num_checked=1)
    seconds = {"official": official, "engine": engine}
    return Comparison("tiny", "official", plan, dict.fromkeys(OBJECTS, AGREEMENT), seconds)


def test_a_ratio_is_the_median_of_the_rounds_own() -> None:
    # The machine was four times slower in the second round; its ratio is as good as any.
    one = comparison({1: [4.0, 16.0, 6.0], 5: [8.0] * 3}, {1: [2.0, 8.0, 2.0], 5: [4.0] * 3})
    assert one.ratio(1) == Spread(median=2.0, low=2.0, high=3.0)
    assert one.cost_of_more_objects("engine").median == 2.0
    assert one.frame_ms("engine", 1) == pytest.approx(100)
    assert one.object_frames_per_s("engine", 5) == pytest.approx(25)


def test_systems_take_turns_at_going_first() -> None:
    systems = Fake("official", 1), Fake("engine", 1)
    first, second = ([(s.name, n) for s, n in in_turn(systems, nth)] for nth in (0, 1))
    assert first == [("official", 1), ("engine", 1), ("engine", 5), ("official", 5)]
    assert second == [("engine", 1), ("official", 1), ("official", 5), ("engine", 5)]


def test_masks_are_compared_and_every_pass_is_timed() -> None:
    plan = Plan(num_clips=2, num_frames=3, num_rounds=1, num_checked=1)
    found = compare("fake", Fake("official", 4), Fake("engine", 2), [clip(3), clip(3)], plan)
    assert found.agreements[5] == Agreement(
        iou_median=0.5, iou_p1=0.5, num_masks=15, share_empty=0.0
    )
    assert {name: [*own] for name, own in found.seconds.items()} == {
        "official": [*OBJECTS],
        "engine": [*OBJECTS],
    }
    assert all(len(times) == 1 for own in found.seconds.values() for times in own.values())


def test_iou_of_packed_masks() -> None:
    first, second = np.zeros(20, bool), np.zeros(20, bool)
    assert overlap(np.packbits(first), np.packbits(second)) == 1
    first[:3], second[2:6] = True, True
    assert overlap(np.packbits(first), np.packbits(second)) == pytest.approx(1 / 6)


def test_what_is_spent_once_does_not_count_in_the_job() -> None:
    measured = Round(
        job_few=Work(num_frames=100, seconds=30 + 10),
        job_many=Work(num_frames=300, seconds=30 + 30),
        engine_few=Work(num_frames=100, seconds=1 + 8),
        engine_many=Work(num_frames=300, seconds=1 + 24),
    )
    assert measured.job_frames_per_s == pytest.approx(10)
    assert measured.engine_frames_per_s == pytest.approx(12.5)
    assert measured.ratio == pytest.approx(0.8)


def test_the_summary_has_every_number_and_is_json() -> None:
    one = comparison({1: [4.0], 5: [8.0]}, {1: [2.0], 5: [2.0]})
    work = Round(Work(1, 1.0), Work(3, 2.0), Work(1, 1.0), Work(5, 2.0))
    results = Results(
        embedded=one,
        tiny=one,
        memory=Memory(100, 1000, 5000, 1020),
        job=Job(JobPlan(few=1, many=2, num_rounds=1), [work]),
        peers=[one],
    )
    assert results.summary() == {
        "embedded_ratio_1_object": 2.0,
        "embedded_ratio_5_objects": 4.0,
        "tiny_ratio_1_object": 2.0,
        "tiny_ratio_5_objects": 4.0,
        "tiny_cost_5_over_1": 1.0,
        "memory_5000_over_100": 1.02,
        "memory_frames": 5000,
        "job_over_engine": 0.5,
    }
    assert results.summary().keys() == Results().summary().keys()
    assert json.loads(json.dumps(results.record()))["embedded"]["ratio"]["5"]["median"] == 4
