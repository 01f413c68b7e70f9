"""Phases of a shot and its objects."""

import threading
from collections.abc import Iterator

import numpy as np
import pytest

from pvtt_flow.errors import DataError
from pvtt_flow.models.sam2.model_input import ModelInput
from pvtt_flow.models.sam2.prefetch import PREFETCH_FRAMES
from pvtt_flow.models.sam2.prompt_encoding import MaskFormat
from pvtt_flow.models.sam2.shot_state import ShotState
from pvtt_flow.models.tracker import PromptedShot, TrackerParams
from pvtt_flow.types import Frame, Prompt
from tests.models.sam2.run_scheduler import Direction
from tests.models.sam2.shots import ON, box, clicks, frame, shot, square_box
from tests.models.sam2.wait_until import Notifier

NUM_FRAMES = 150
PROMPTED = 140
INPUT = ModelInput(8, MaskFormat(8))


def make_frame(position: int) -> Frame:
    return frame(position, np.full((8, 8, 3), position, np.uint8))


@pytest.fixture
def reads() -> list[tuple[int, int | None]]:
    return []


@pytest.fixture
def long_shot(reads: list[tuple[int, int | None]]) -> PromptedShot:
    def read(start: int, stop: int | None) -> Iterator[Frame]:
        reads.append((start, stop))
        return (make_frame(i) for i in range(start, NUM_FRAMES if stop is None else stop))

    prompts = {PROMPTED: [box(0, 0, 0, 4, 4)]}
    return PromptedShot(read=read, prompts=prompts, prompt_frames={PROMPTED: make_frame(PROMPTED)})


def start(shot: PromptedShot, notifier: Notifier, direction: Direction = "both") -> ShotState:
    """Return the shot in its forward pass."""
    state = ShotState(shot, TrackerParams(direction=direction), INPUT, notifier)
    state.start_conditioning()
    state.start_first_pass()
    return state


def drain(state: ShotState, notifier: Notifier) -> Iterator[int]:
    """Process the frames of the current pass and yield their positions."""
    while True:
        notifier.wait_until(lambda: state.pass_finished or state.next_frame() is not None)
        next_frame = state.next_frame()
        if next_frame is None:
            return
        assert isinstance(next_frame.image, np.ndarray)
        assert next_frame.image[0, 0, 0] == next_frame.position
        yield next_frame.position
        state.advance()


def test_phases_of_a_shot(long_shot: PromptedShot) -> None:
    notifier = Notifier()
    state = ShotState(long_shot, TrackerParams(direction="both"), INPUT, notifier)
    phases = [state.phase]
    for change in (state.start_conditioning, state.start_first_pass):
        change()
        phases.append(state.phase)
    assert len(list(drain(state, notifier))) == NUM_FRAMES
    assert state.has_backward_pass
    state.start_backward_pass()
    phases.append(state.phase)
    for _ in range(2):
        state.finish()
        phases.append(state.phase)
    assert " ".join(phase.name for phase in phases) == (
        "WAITING CONDITIONING FORWARD BACKWARD DONE DONE"
    )


def test_a_phase_cannot_be_skipped(long_shot: PromptedShot) -> None:
    state = ShotState(long_shot, TrackerParams(), INPUT, Notifier())
    with pytest.raises(RuntimeError, match="must not change from WAITING to FORWARD"):
        state.start_first_pass()
    state.finish()
    with pytest.raises(RuntimeError, match="must not change from DONE to CONDITIONING"):
        state.start_conditioning()


def test_a_waiting_shot_reads_nothing(
    long_shot: PromptedShot, reads: list[tuple[int, int | None]]
) -> None:
    state = ShotState(long_shot, TrackerParams(), INPUT, Notifier())
    assert state.next_frame() is None
    assert not state.pass_finished
    assert state.num_frames == 0
    assert not reads


def test_the_backward_pass_reads_chunks(
    long_shot: PromptedShot, reads: list[tuple[int, int | None]]
) -> None:
    """Decoders only go forward: a chunk is read forward and then reversed."""
    notifier = Notifier()
    state = start(long_shot, notifier)
    assert list(drain(state, notifier)) == list(range(NUM_FRAMES))
    state.start_backward_pass()
    assert state.num_frames == NUM_FRAMES
    assert list(drain(state, notifier)) == list(range(PROMPTED - 1, -1, -1))
    assert reads == [(0, None), (76, 140), (12, 76), (0, 12)]
    assert not state.has_backward_pass


def test_direction_backward_starts_at_the_prompt(long_shot: PromptedShot) -> None:
    notifier = Notifier()
    state = start(long_shot, notifier, "backward")
    assert not any(state.tracked_objects(position) for position in drain(state, notifier))
    state.start_backward_pass()
    assert list(drain(state, notifier)) == list(range(PROMPTED, -1, -1))


def test_direction_forward_has_no_backward_pass(long_shot: PromptedShot) -> None:
    notifier = Notifier()
    state = start(long_shot, notifier, "forward")
    tracked = [position for position in drain(state, notifier) if state.tracked_objects(position)]
    assert tracked == list(range(PROMPTED, NUM_FRAMES))
    assert not state.has_backward_pass


def test_a_backpressured_shot_has_no_next_frame(long_shot: PromptedShot) -> None:
    notifier, is_backpressured = Notifier(), True
    state = ShotState(
        long_shot, TrackerParams(), INPUT, notifier, is_backpressured=lambda: is_backpressured
    )
    state.start_conditioning()
    notifier.wait_until(lambda: state.num_frames >= 16)
    assert state.next_frame() is None
    is_backpressured = False
    assert state.next_frame() is not None
    state.finish()


@pytest.mark.parametrize("num_frames", [15, 16, 40])
def test_tracking_waits_until_the_length_is_known(num_frames: int) -> None:
    """In a shot with fewer than 16 frames, results depend on their number."""
    may_continue, notifier = threading.Event(), Notifier()

    def read(start: int, stop: int | None) -> Iterator[Frame]:
        yield from (make_frame(i) for i in range(14))
        assert may_continue.wait(60)
        yield from (make_frame(i) for i in range(14, num_frames))

    prompts = {0: [box(0, 0, 0, 4, 4)]}
    state = start(
        PromptedShot(read=read, prompts=prompts, prompt_frames={0: make_frame(0)}), notifier
    )
    notifier.wait_until(lambda: state.num_frames == 14)
    assert state.next_frame() is None
    may_continue.set()
    notifier.wait_until(lambda: state.next_frame() is not None)
    assert min(state.num_frames, 16) == min(num_frames, 16)
    state.finish()


CORRECTION = clicks(0, (20, 30, ON), correction=True)


@pytest.mark.parametrize(
    ("placed", "direction", "message"),
    [
        ([(2, CORRECTION)], "both", "must have a prompt that is not a correction"),
        ([square_box(0, i) for i in range(5)], "both", "at most 4 frames, got 5 for object 0"),
        ([square_box(0, 3), (1, CORRECTION)], "forward", "a frame to which object 0 is tracked"),
        ([square_box(0, 3), (5, CORRECTION)], "backward", "set tracker.direction to both"),
    ],
)
def test_prompts_that_cannot_be_tracked(
    placed: list[tuple[int, Prompt]], direction: Direction, message: str
) -> None:
    params = TrackerParams(direction=direction, max_prompted_frames=4)
    with pytest.raises(DataError, match=message) as caught:
        ShotState(shot(8, *placed).prompted, params, INPUT, Notifier())
    assert caught.value.kind == "bad_prompt"


def test_both_directions_reach_corrections_on_both_sides() -> None:
    placed = [square_box(0, 3), (1, CORRECTION), (5, CORRECTION)]
    state = ShotState(shot(8, *placed).prompted, TrackerParams(direction="both"), INPUT, Notifier())
    assert set(state.objects[0].corrections) == {1, 5}


@pytest.mark.parametrize("is_backpressured", [False, True])
def test_a_frame_is_expected_of_a_shot_that_may_go_on(*, is_backpressured: bool) -> None:
    """Not while its length is unknown, which SAM 2 depends on."""
    notifier, go_on = Notifier(), threading.Semaphore(PREFETCH_FRAMES - 1)

    def read(start: int, stop: int | None) -> Iterator[Frame]:
        for position in range(start, NUM_FRAMES if stop is None else stop):
            go_on.acquire()
            yield make_frame(position)

    prompted = PromptedShot(
        read=read, prompts={0: [box(0, 0, 0, 4, 4)]}, prompt_frames={0: make_frame(0)}
    )
    state = ShotState(prompted, TrackerParams(), INPUT, notifier, lambda: is_backpressured)
    state.start_conditioning()
    state.start_first_pass()
    notifier.wait_until(lambda: state.num_frames == PREFETCH_FRAMES - 1)
    assert state.expected_s is None
    go_on.release()
    notifier.wait_until(lambda: state.num_frames == PREFETCH_FRAMES)
    for _ in range(PREFETCH_FRAMES):
        state.advance()
    assert (state.expected_s is None) == is_backpressured
    state.finish()
    go_on.release(NUM_FRAMES)
