"""`Tracker` protocol on top of the scheduler, used from several threads."""

import gc
import itertools
import weakref
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
from numpy.typing import NDArray

from pvtt_flow.errors import DataError, MachineError
from pvtt_flow.models import checkpoints
from pvtt_flow.models.sam2 import device_resize
from pvtt_flow.models.sam2.model import Sam2
from pvtt_flow.models.sam2.model_input import resize_to_square
from pvtt_flow.models.sam2.threaded_tracker import ThreadedTracker
from pvtt_flow.models.sam2.tuning import Tuning
from pvtt_flow.models.tracker import ForeignStateError, PromptedShot, TrackedFrame, TrackerParams
from pvtt_flow.types import Frame, Prompt
from tests.models.sam2.shots import (
    ON,
    Shot,
    box,
    clicks,
    frame,
    mask_of,
    shot,
    square_box,
)
from tests.models.sam2.wait_until import Notifier

pytestmark = pytest.mark.usefixtures("one_thread")

MAX_CONCURRENT_SHOTS = 2
# Pending results, prefetched frames, and some in progress.
MAX_FRAMES_AHEAD = 32 + 16 + 4


def make_tracker(config: Path, **params: object) -> ThreadedTracker:
    weights = checkpoints.embedded_file("sam2_embedded.pt")
    tracker_params = TrackerParams.model_validate(
        {"device": "cpu", "max_concurrent_shots": MAX_CONCURRENT_SHOTS, **params}
    )
    return ThreadedTracker(weights, config, tracker_params)


@pytest.fixture(scope="module")
def tracker(config: Path) -> ThreadedTracker:
    return make_tracker(config)


@pytest.fixture(scope="module")
def forward(config: Path) -> ThreadedTracker:
    return make_tracker(config, direction="forward")


class GeneratedShot:
    """Long shot whose frames are made as they are read."""

    def __init__(self, num_frames: int, error_at: int | None = None) -> None:
        self.alive: list[weakref.ref[NDArray[np.uint8]]] = []
        self.closed = False
        self._background = shot(1).frames[0].rgb
        self._num_frames = num_frames
        self._error_at = error_at

    @property
    def prompted(self) -> PromptedShot:
        first = frame(0, self._background)
        return PromptedShot(read=self._read, prompts=dict([prompt_at(0)]), prompt_frames={0: first})

    def _read(self, start: int, stop: int | None) -> Generator[Frame]:
        try:
            for position in range(start, self._num_frames if stop is None else stop):
                if position == self._error_at:
                    raise DataError("undecodable", f"frame {position} is broken")
                rgb = self._background.copy()
                self.alive.append(weakref.ref(rgb))
                new_frame = frame(position, rgb)
                del rgb
                yield new_frame
                del new_frame
        finally:
            self.closed = True


def prompt_at(position: int) -> tuple[int, Sequence[Prompt]]:
    _, prompt = square_box(0, position)
    return position, [prompt]


def masks_of(tracked: Sequence[TrackedFrame]) -> dict[tuple[int, int], NDArray[np.bool_]]:
    return {(o.object_id, t.frame_index): o.mask for t in tracked for o in t.objects}


def assert_equal_masks(first: Sequence[TrackedFrame], second: Sequence[TrackedFrame]) -> None:
    masks, expected = masks_of(first), masks_of(second)
    assert set(masks) == set(expected)
    differing = sum(int((masks[key] != expected[key]).sum()) for key in masks)
    assert differing <= 1e-5 * sum(mask.size for mask in masks.values())


def various_shots() -> list[Shot]:
    return [
        shot(9, square_box(0, 0), square_box(1, 4), seed=1),
        shot(5, (2, mask_of(0, 2)), seed=2),
        shot(12, square_box(0, 3), (7, clicks(0, (36, 32, ON), correction=True)), seed=3),
        shot(20, square_box(0, 19), (0, box(1, 50, 40, 70, 70)), seed=4),
        shot(1, square_box(0, 0), seed=5),
    ]


def test_concurrent_shots_equal_sequential_ones(tracker: ThreadedTracker) -> None:
    shots = [shot.prompted for shot in various_shots()]
    sequential = [list(tracker.track(shot)) for shot in shots]
    with ThreadPoolExecutor(len(shots)) as threads:
        concurrent = list(threads.map(lambda shot: list(tracker.track(shot)), shots))
    for first, second in zip(sequential, concurrent, strict=True):
        assert_equal_masks(first, second)
    assert {t.slot_utilization for tracked in sequential for t in tracked} == {
        1 / MAX_CONCURRENT_SHOTS
    }
    assert {t.slot_utilization for tracked in concurrent for t in tracked} <= {
        1 / MAX_CONCURRENT_SHOTS,
        1,
    }


def test_each_frame_is_reported_with_its_time(tracker: ThreadedTracker) -> None:
    """The forward pass reports each frame, the backward pass those before the first prompt."""
    frames = various_shots()[2].frames
    tracked = list(tracker.track(various_shots()[2].prompted))
    times = [(f.frame_index, f.pts_ns) for f in frames]
    assert [(t.frame_index, t.pts_ns) for t in tracked] == times + times[2::-1]
    assert [len(t.objects) for t in tracked] == [0] * 3 + [1] * 9 + [1] * 3


def test_a_forward_pass_has_no_objects_before_their_prompts(forward: ThreadedTracker) -> None:
    tracked = list(forward.track(shot(6, square_box(4, 2), square_box(1, 4)).prompted))
    ids = [[o.object_id for o in t.objects] for t in tracked]
    assert ids == [[], [], [4], [4], [1, 4], [1, 4]]


def test_resizing_on_the_device_changes_nothing(
    config: Path, tracker: ThreadedTracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frames of both passes and prompted ones, of a size that the model does not have."""
    plain = list(tracker.track(shot(4, square_box(0, 1)).prompted))
    trials = Mock(wraps=resize_to_square)
    monkeypatch.setattr(device_resize, "resize_to_square", trials)
    on_device = make_tracker(config, resize_on_device=True)
    assert_equal_masks(plain, list(on_device.track(shot(4, square_box(0, 1)).prompted)))
    assert 1 <= trials.call_count <= 2, "the shot's thread and that which reads ahead"


@pytest.mark.parametrize("resize_on_device", [False, True])
def test_frames_that_are_uploaded_ahead_change_nothing(
    config: Path, tracker: ThreadedTracker, *, resize_on_device: bool
) -> None:
    """Frames of either pass, on a device that is the CPU."""
    weights = checkpoints.embedded_file("sam2_embedded.pt")
    params = TrackerParams(device="cpu", resize_on_device=resize_on_device)
    ahead = ThreadedTracker(weights, config, params, Tuning(uploads_ahead=True))
    expected = list(tracker.track(shot(20, square_box(0, 5)).prompted))
    assert_equal_masks(expected, list(ahead.track(shot(20, square_box(0, 5)).prompted)))


def test_a_wait_for_fuller_batches_changes_nothing(config: Path, tracker: ThreadedTracker) -> None:
    weights = checkpoints.embedded_file("sam2_embedded.pt")
    params = TrackerParams(device="cpu", max_concurrent_shots=MAX_CONCURRENT_SHOTS)
    waiting = ThreadedTracker(weights, config, params, Tuning(max_wait_s=0.003))
    shots = [shot.prompted for shot in various_shots()]
    with ThreadPoolExecutor(len(shots)) as threads:
        found = list(threads.map(lambda shot: list(waiting.track(shot)), shots))
    for each, tracked in zip(shots, found, strict=True):
        assert_equal_masks(list(tracker.track(each)), tracked)


def test_a_kernel_that_was_chosen_changes_nothing(
    config: Path, tracker: ThreadedTracker, caplog: pytest.LogCaptureFixture
) -> None:
    """Measured when the tracker is made, as on CUDA."""
    assert tracker.attention is None, "on a CPU nothing is measured"
    weights, params = (
        checkpoints.embedded_file("sam2_embedded.pt"),
        TrackerParams(device="cpu", max_concurrent_shots=2),
    )
    with caplog.at_level("INFO", logger="pvtt_flow"):
        chosen = ThreadedTracker(weights, config, params, Tuning(attention="measured"))
    [line] = [message for message in caplog.messages if message.startswith("attention to memories")]
    assert chosen.attention is not None
    assert line == f"attention to memories, 2 objects: {chosen.attention}"
    expected = list(tracker.track(shot(9, square_box(0, 2)).prompted))
    assert_equal_masks(expected, list(chosen.track(shot(9, square_box(0, 2)).prompted)))


def test_a_state_of_another_kernel_is_refused(config: Path, tracker: ThreadedTracker) -> None:
    prompted = shot(5, square_box(0, 0)).prompted
    [first, *_] = tracker.track(replace(prompted, wants_state=lambda: True))
    assert first.state is not None
    params = TrackerParams(device="cpu", max_concurrent_shots=2)
    flash = ThreadedTracker(
        checkpoints.embedded_file("sam2_embedded.pt"), config, params, Tuning(attention="Flash")
    )
    assert flash.attention == "Flash"
    with pytest.raises(ForeignStateError, match=r"attention by Flash and Flash, got .*compiled$"):
        next(flash.track(replace(prompted, saved=first.state())))


def test_scores_are_reported_where_the_model_has_them(tracker: ThreadedTracker) -> None:
    prompted = shot(3, square_box(0, 0), (0, mask_of(1, 0)))
    first, second, _ = tracker.track(prompted.prompted)
    assert first.objects[0].predicted_iou is not None
    assert first.objects[1].predicted_iou is None, "a mask prompt is not predicted"
    for tracked_object in second.objects:
        assert tracked_object.predicted_iou is not None
        assert 0 <= tracked_object.predicted_iou <= 1
        assert np.isfinite(tracked_object.object_score)
        assert tracked_object.mask.shape == prompted.display_px
        assert tracked_object.mask.dtype == np.bool_


def test_decoded_frames_are_released(forward: ThreadedTracker) -> None:
    generated, most = GeneratedShot(60), 0
    for count, _ in enumerate(forward.track(generated.prompted)):
        if count % 20 == 0:
            gc.collect()
        most = max(most, sum(rgb() is not None for rgb in generated.alive))
    assert len(generated.alive) == 60
    assert most <= 2


def test_a_slow_consumer_delays_only_its_own_shot(forward: ThreadedTracker) -> None:
    generated = GeneratedShot(500)
    slow = forward.track(generated.prompted)
    next(slow)
    for _ in range(3):
        assert len(list(forward.track(shot(30, square_box(0, 0)).prompted))) == 30
    assert len(generated.alive) <= MAX_FRAMES_AHEAD
    assert [next(slow).frame_index for _ in range(60)] == [3 * i for i in range(1, 61)]


def test_a_closed_iterator_frees_its_slot(config: Path) -> None:
    tracker = make_tracker(config, max_concurrent_shots=1, direction="forward")
    generated = GeneratedShot(10**6)
    tracked = tracker.track(generated.prompted)
    assert [next(tracked).frame_index for _ in range(3)] == [0, 3, 6]
    close(tracked)
    assert len(list(tracker.track(shot(4, square_box(0, 0)).prompted))) == 4
    Notifier().wait_until(lambda: generated.closed)


def test_an_iterator_that_was_not_started_takes_no_slot(config: Path) -> None:
    tracker = make_tracker(config, max_concurrent_shots=1, direction="forward")
    generated = GeneratedShot(100)
    close(tracker.track(generated.prompted))
    assert len(list(tracker.track(shot(4, square_box(0, 0)).prompted))) == 4
    assert not generated.alive


def test_closing_an_iterator_admits_the_waiting_shots(config: Path) -> None:
    tracker = make_tracker(config, max_concurrent_shots=1, direction="forward")
    running = tracker.track(GeneratedShot(100).prompted)
    next(running)
    with ThreadPoolExecutor(2) as threads:
        waiting = [threads.submit(list, tracker.track(shot(4, square_box(0, 0)).prompted))]
        waiting.append(threads.submit(list, tracker.track(shot(5, square_box(0, 0)).prompted)))
        close(running)
        assert [len(tracked.result()) for tracked in waiting] == [4, 5]


def test_a_reading_error_comes_after_the_frames_before_it(forward: ThreadedTracker) -> None:
    """The error does not affect other shots."""
    broken = GeneratedShot(40, error_at=7)
    tracked_frames: list[int] = []

    def track_broken() -> None:
        tracked_frames.extend(t.frame_index for t in forward.track(broken.prompted))

    with ThreadPoolExecutor(2) as threads:
        failing = threads.submit(track_broken)
        other = threads.submit(list, forward.track(shot(20, square_box(0, 0)).prompted))
        with pytest.raises(DataError, match="frame 7 is broken"):
            failing.result()
        assert len(other.result()) == 20
    assert tracked_frames == [3 * position for position in range(7)]
    assert len(list(forward.track(shot(4, square_box(0, 0)).prompted))) == 4


def test_an_error_of_a_step_reaches_its_callers(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker = make_tracker(config, direction="forward")
    with monkeypatch.context() as patch:
        patch.setattr(Sam2, "encode_images", None)
        with pytest.raises(TypeError):
            list(tracker.track(shot(4, square_box(0, 0)).prompted))
    assert len(list(tracker.track(shot(4, square_box(0, 0)).prompted))) == 4


def test_a_broken_device_ends_the_tracker(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls end at once, and nothing touches the device any more."""
    tracker = make_tracker(config, direction="forward", max_concurrent_shots=2)
    tracked = [tracker.track(GeneratedShot(10**6).prompted) for _ in range(3)]
    next(tracked[0])

    def broken(*_: object) -> None:
        raise RuntimeError("CUDA error: uncorrectable ECC error encountered")

    monkeypatch.setattr(Sam2, "encode_images", broken)
    message = "the device cpu must work, but it failed: CUDA error: uncorrectable ECC"
    for shot_frames in tracked:
        with pytest.raises(MachineError, match=message):
            list(shot_frames)
    with pytest.raises(MachineError, match=message):
        list(tracker.track(shot(2, square_box(0, 0)).prompted))


def test_closing_a_tracker_ends_its_shots(config: Path) -> None:
    tracker = make_tracker(config, direction="forward")
    tracked = tracker.track(GeneratedShot(10**6).prompted)
    next(tracked)
    tracker.close()
    with pytest.raises(RuntimeError, match="the tracker has been closed"):
        list(tracked)
    with pytest.raises(RuntimeError, match="the tracker has been closed"):
        list(tracker.track(shot(2, square_box(0, 0)).prompted))


def test_bfloat16_masks_are_close_to_float32(config: Path, forward: ThreadedTracker) -> None:
    prompted = shot(5, square_box(0, 0)).prompted
    exact = masks_of(list(forward.track(prompted)))
    bfloat16 = make_tracker(config, direction="forward", precision="bfloat16")
    for key, mask in masks_of(list(bfloat16.track(prompted))).items():
        assert (mask & exact[key]).sum() >= 0.9 * (mask | exact[key]).sum()


def test_prompts_that_cannot_be_tracked(tracker: ThreadedTracker) -> None:
    two_boxes = shot(3, square_box(0, 0), square_box(0, 0))
    with pytest.raises(DataError, match="at most one box") as caught:
        list(tracker.track(two_boxes.prompted))
    assert caught.value.kind == "bad_prompt"


@pytest.mark.parametrize("number", [3, 20])
def test_a_shot_goes_on_in_another_process(config: Path, number: int) -> None:
    """In its forward and in its backward pass; the first tracker is gone."""
    prompted = shot(18, square_box(0, 6), square_box(1, 2)).prompted
    tracker, other = make_tracker(config), make_tracker(config)
    expected = list(tracker.track(prompted))
    assert {tracked.state for tracked in expected} == {None}, "nobody wanted it"
    frames = tracker.track(replace(prompted, wants_state=once_after(number)))
    tracked, state = list[TrackedFrame](), None
    while state is None:
        tracked.append(next(frames))
        state = tracked[-1].state
    saved = state()
    assert len(tracked) == number + 1
    close(frames)
    tracker.close()
    tracked += other.track(replace(prompted, saved=saved))
    assert [t.frame_index for t in tracked] == [t.frame_index for t in expected]
    for actual, usual in zip(tracked, expected, strict=True):
        for ours, theirs in zip(actual.objects, usual.objects, strict=True):
            numbers = ours.object_id, ours.object_score, ours.predicted_iou
            assert numbers == (theirs.object_id, theirs.object_score, theirs.predicted_iou)
            np.testing.assert_array_equal(ours.mask, theirs.mask)


def test_a_state_of_other_settings_is_refused(config: Path, tracker: ThreadedTracker) -> None:
    prompted = shot(5, square_box(0, 0)).prompted
    [first, *_] = tracker.track(replace(prompted, wants_state=lambda: True))
    assert first.state is not None
    samurai = make_tracker(config, memory="samurai")
    with pytest.raises(ForeignStateError, match=r"memory samurai.*got .*memory sam2"):
        next(samurai.track(replace(prompted, saved=first.state())))


def once_after(number: int) -> Callable[[], bool]:
    """Return a function that is true at its call after so many others, and never again."""
    calls = itertools.count()
    return lambda: next(calls) == number


def close(tracked: Iterator[TrackedFrame]) -> None:
    assert isinstance(tracked, Generator)
    tracked.close()
