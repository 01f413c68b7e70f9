"""Shots that are interrupted, and go on elsewhere from a snapshot.

If each single step after a snapshot gives the same results and the next snapshot, bit for bit, so
does any number of them.
"""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from pvtt_flow.models import checkpoints
from pvtt_flow.models.sam2.architectures.edgetam import EDGETAM
from pvtt_flow.models.sam2.model import Sam2
from pvtt_flow.models.sam2.official import build_predictor
from pvtt_flow.models.sam2.scheduler import FrameResult, Scheduler, ShotFinished
from pvtt_flow.models.sam2.shot_snapshot import SnapshotFormat
from pvtt_flow.models.sam2.shot_state import Phase, ShotState
from pvtt_flow.models.tracker import (
    ForeignStateError,
    MemoryRule,
    PromptedShot,
    SavedState,
    TrackerParams,
)
from pvtt_flow.types import Frame
from tests.models.sam2.architectures.test_edgetam import small_config
from tests.models.sam2.compare import compare, outputs_by_object
from tests.models.sam2.pair import perturb
from tests.models.sam2.run_scheduler import autocast, events, run
from tests.models.sam2.shots import OFF, ON, Shot, clicks, mask_of, shot, square_box
from tests.models.sam2.wait_until import Notifier

NUM_FRAMES = 19
Step = tuple[FrameResult, SavedState | None]
ENGINE = "the engine of the tests"


@pytest.fixture(scope="module")
def model(config: Path) -> Sam2:
    """Model that keeps the masks it did not choose, as one of the policies needs."""
    weights = checkpoints.embedded_file("sam2_embedded.pt")
    predictor = build_predictor(weights, config, torch.device("cpu"))
    return Sam2(predictor, keep_alternatives=True)


def corrected(seed: int = 3) -> Shot:
    """Two objects that start late, are corrected in both passes, and prompted again by a mask."""
    forward = clicks(0, (34, 32, ON), (70, 50, OFF), correction=True)
    backward = clicks(1, (20, 32, ON), correction=True)
    return shot(
        NUM_FRAMES,
        *(square_box(0, 4), (9, forward), (17, mask_of(0, 17))),
        *(square_box(1, 7), (2, backward)),
        seed=seed,
    )


@dataclass(eq=False)
class Engine:
    """Scheduler with what is around it, as a new process has them."""

    model: Sam2
    memory: MemoryRule = "sam2"
    bfloat16: bool = False

    def __post_init__(self) -> None:
        dtype = torch.bfloat16 if self.bfloat16 else torch.float32
        self.scheduler = Scheduler(self.model, 2, memory=self.memory, memory_dtype=dtype)
        self.format = SnapshotFormat(self.model, self.scheduler.policy, ENGINE)
        self.notifier = Notifier()

    def add(self, prompted: PromptedShot) -> ShotState:
        saved = prompted.saved
        snapshot = None if saved is None else self.format.load(saved)
        params = TrackerParams(direction="both")
        state = ShotState(prompted, params, self.model.input, self.notifier, snapshot=snapshot)
        self.scheduler.add_shot(state)
        return state

    def steps(self, state: ShotState) -> Iterator[Step]:
        """Yield each result with the state before the next one; None after the last one."""
        last: FrameResult | None = None
        while state.phase is not Phase.DONE:
            self.notifier.wait_until(partial(is_ready, state))
            is_in_pass = state.phase in (Phase.FORWARD, Phase.BACKWARD)
            if last is not None and is_in_pass and not state.pass_finished:
                yield last, self.format.dump(state.snapshot())
                last = None
            for event in self.step():
                if isinstance(event, FrameResult):
                    last = event
        assert last is not None
        yield last, None

    def step(self) -> list[FrameResult | ShotFinished]:
        with torch.inference_mode(), autocast(bfloat16=self.bfloat16):
            return self.scheduler.step()


def is_ready(state: ShotState) -> bool:
    return state.phase is Phase.WAITING or state.pass_finished or state.next_frame() is not None


def assert_equal(actual: FrameResult, expected: FrameResult) -> None:
    assert (actual.frame_index, actual.pts_ns) == (expected.frame_index, expected.pts_ns)
    assert actual.object_ids == expected.object_ids
    for name in ("logits", "object_scores", "predicted_ious", "confidences"):
        np.testing.assert_array_equal(getattr(actual, name), getattr(expected, name), name)


def assert_same_state(actual: SavedState | None, expected: SavedState | None) -> None:
    assert (actual is None) == (expected is None)
    if actual is not None and expected is not None:
        assert actual.keys() == expected.keys()
        for name, array in expected.items():
            np.testing.assert_array_equal(actual[name], array, name)


@pytest.mark.parametrize(
    ("memory", "bfloat16"),
    [
        ("sam2", True),
        ("samurai", False),
        ("dam4sam", False),
        # The first one is what other tests use, the second one knows less than the others.
        pytest.param("sam2", False, marks=pytest.mark.slow),
        pytest.param("score_gated", False, marks=pytest.mark.slow),
    ],
)
def test_each_step_is_that_of_a_shot_without_interruption(
    model: Sam2,
    memory: MemoryRule,
    bfloat16: bool,  # noqa: FBT001
) -> None:
    prompted = corrected().prompted
    whole = Engine(model, memory, bfloat16)
    steps = list(whole.steps(whole.add(prompted)))
    assert len(steps) == NUM_FRAMES + 7, "both passes"
    for (_, state), (result, next_state) in pairwise(steps):
        other = Engine(model, memory, bfloat16)
        resumed = other.steps(other.add(replace(prompted, saved=state)))
        actual, actual_state = next(resumed)
        assert_equal(actual, result)
        assert_same_state(actual_state, next_state)


@pytest.fixture(scope="module")
def whole(model: Sam2) -> list[Step]:
    engine = Engine(model)
    return list(engine.steps(engine.add(corrected().prompted)))


@pytest.mark.parametrize("number", [11])
def test_a_shot_goes_on_to_its_end(model: Sam2, whole: list[Step], number: int) -> None:
    """Equal results at all later steps, too."""
    engine = Engine(model)
    prompted = replace(corrected().prompted, saved=whole[number][1])
    rest = list(engine.steps(engine.add(prompted)))
    for (actual, _), (expected, _) in zip(rest, whole[number + 1 :], strict=True):
        assert_equal(actual, expected)


@pytest.mark.slow
def test_memories_of_another_shape(tmp_path: Path) -> None:
    """EdgeTAM's have other tokens than the grid's."""
    predictor = build_predictor(None, small_config(tmp_path), torch.device("cpu"))
    model = Sam2(perturb(predictor), architecture=EDGETAM)
    prompted = shot(6, square_box(0, 2), square_box(1, 0)).prompted
    engine = Engine(model)
    whole = list(engine.steps(engine.add(prompted)))
    for number in (3, 6):
        other = Engine(model)
        rest = list(other.steps(other.add(replace(prompted, saved=whole[number][1]))))
        for (actual, _), (expected, _) in zip(rest, whole[number + 1 :], strict=True):
            assert_equal(actual, expected)


def test_a_pass_whose_end_is_not_known_yet(model: Sam2, whole: list[Step]) -> None:
    """The reader has not said yet that there is no frame after the last one."""
    prompted = corrected().prompted
    may_end = threading.Event()

    def read(start: int, stop: int | None) -> Iterator[Frame]:
        yield from prompted.read(start, stop)
        if stop is None and not may_end.wait(60):
            raise TimeoutError

    engine = Engine(model)
    state = engine.add(replace(prompted, read=read))
    num_results = 0
    while num_results < NUM_FRAMES:
        engine.notifier.wait_until(partial(is_ready, state))
        num_results += sum(isinstance(event, FrameResult) for event in engine.step())
    snapshot = state.snapshot()
    may_end.set()
    assert (snapshot.is_backward, snapshot.next_position) == (False, NUM_FRAMES)
    other = Engine(model)
    saved = engine.format.dump(snapshot)
    rest = list(other.steps(other.add(replace(prompted, saved=saved))))
    for (actual, _), (expected, _) in zip(rest, whole[NUM_FRAMES:], strict=True):
        assert_equal(actual, expected)


def test_a_shot_that_goes_on_beside_others(model: Sam2, whole: list[Step]) -> None:
    """Masks of a batch with a shot of another age, whose masks stay what they are, too."""
    # A square from a box would amplify rounding: the model is unsure of it.
    first, second = corrected(), shot(9, (3, mask_of(0, 3)), seed=5)
    [alone] = run(model, [second], "both")
    number, engine = 11, Engine(model)
    states = [
        engine.add(replace(first.prompted, saved=whole[number][1])),
        engine.add(second.prompted),
    ]
    results: dict[ShotState, list[FrameResult]] = {state: [] for state in states}
    results[states[0]] = [result for result, _ in whole[: number + 1]]
    with torch.inference_mode():
        for event in events(engine.scheduler, states, engine.notifier):
            if isinstance(event, FrameResult):
                results[event.shot].append(event)
    expected = [result for result, _ in whole]
    for each, usual, state in zip((first, second), (expected, alone), states, strict=True):
        compare(outputs_by_object(each, results[state]), outputs_by_object(each, usual)).check()


@pytest.fixture
def saved(whole: list[Step]) -> SavedState:
    _, state = whole[11]
    assert state is not None
    return state


Change = Callable[[dict[str, NDArray[Any]]], object]


def of_another_engine(saved: dict[str, NDArray[Any]]) -> None:
    facts = json.loads(saved["facts"].tobytes())
    assert facts["engine"] == ENGINE
    text = json.dumps({**facts, "engine": "another one"})
    saved["facts"] = np.frombuffer(text.encode(), np.uint8)


def without_facts(saved: dict[str, NDArray[Any]]) -> None:
    saved["facts"] = saved["facts"][:-1]


CHANGES: dict[str, tuple[Change, str]] = {
    "no arrays": (dict.clear, "KeyError: 'facts'"),
    "another engine": (of_another_engine, f"must be of {ENGINE}, got another one"),
    "half of the facts": (without_facts, "JSONDecodeError"),
    "a missing array": (lambda saved: saved.pop("1.row_memories"), "KeyError: '1.row_memories'"),
    "another size": (
        lambda saved: saved.update({"0.row_pointers": np.zeros((15, 8), np.float32)}),
        r"0.row_pointers must have the shape \(15, 128\), got \(15, 8\)",
    ),
    "fewer memories": (
        lambda saved: saved.update(
            {"0.conditioning_memories": saved["0.conditioning_memories"][:-1]}
        ),
        "0.conditioning_memories must have the shape",
    ),
    "fewer observations": (
        lambda saved: saved.update({"0.seen_scores": saved["0.seen_scores"][:-1]}),
        "ValueError",
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_state_that_does_not_fit_is_refused(model: Sam2, saved: SavedState, name: str) -> None:
    change, message = CHANGES[name]
    changed = dict(saved)
    change(changed)
    engine = Engine(model)
    with pytest.raises(ForeignStateError, match=message):
        engine.add(replace(corrected().prompted, saved=changed))
    assert not engine.scheduler.has_work


def test_a_state_of_other_objects_is_refused(model: Sam2, saved: SavedState) -> None:
    engine = Engine(model)
    with pytest.raises(ForeignStateError, match=r"objects must be \[0\], got \[0, 1\]"):
        engine.add(replace(shot(NUM_FRAMES, square_box(0, 4)).prompted, saved=saved))


def test_a_state_is_as_large_after_many_frames(model: Sam2) -> None:
    engine = Engine(model)
    steps = list(engine.steps(engine.add(shot(40, square_box(0, 0)).prompted)))
    sizes = [sum(a.nbytes for a in state.values()) for _, state in steps if state is not None]
    assert max(sizes[16:]) - min(sizes[16:]) < 200, "digits of positions"
