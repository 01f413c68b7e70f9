"""The engine behind the `Tracker` protocol, used from several threads."""

import gc
import weakref
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pvtt_flow.errors import DataError
from pvtt_flow.models import checkpoints
from pvtt_flow.models.sam2.model import Sam2
from pvtt_flow.models.sam2.threaded_tracker import ThreadedTracker
from pvtt_flow.models.tracker import PromptedShot, TrackedFrame, TrackerParams
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
from tests.models.sam2.wait_until import News

pytestmark = pytest.mark.usefixtures("one_thread")

MAX_CONCURRENT_SHOTS = 2
# Results that wait for their reader, and pictures that wait for the engine.
MAX_AHEAD = 32 + 16 + 4


def tracker_of(config: Path, **params: object) -> ThreadedTracker:
    weights = checkpoints.embedded_file("sam2_embedded.pt")
    chosen = TrackerParams.model_validate(
        {"device": "cpu", "max_concurrent_shots": MAX_CONCURRENT_SHOTS, **params}
    )
    return ThreadedTracker(weights, config, chosen)


@pytest.fixture(scope="module")
def tracker(config: Path) -> ThreadedTracker:
    return tracker_of(config)


@pytest.fixture(scope="module")
def forward(config: Path) -> ThreadedTracker:
    return tracker_of(config, direction="forward")


class Reading:
    """A long clip whose frames are made as they are read."""

    def __init__(self, num_frames: int, error_at: int | None = None) -> None:
        self.alive: list[weakref.ref[NDArray[np.uint8]]] = []
        self.closed = False
        self._ground = shot(1).frames[0].rgb
        self._num_frames = num_frames
        self._error_at = error_at

    @property
    def clip(self) -> PromptedShot:
        first = frame(0, self._ground)
        return PromptedShot(read=self._read, prompts=dict([prompted(0)]), prompt_frames={0: first})

    def _read(self, start: int, stop: int | None) -> Generator[Frame]:
        try:
            for position in range(start, self._num_frames if stop is None else stop):
                if position == self._error_at:
                    raise DataError("undecodable", f"frame {position} is broken")
                rgb = self._ground.copy()
                self.alive.append(weakref.ref(rgb))
                made = frame(position, rgb)
                del rgb
                yield made
                del made
        finally:
            self.closed = True


def prompted(position: int) -> tuple[int, Sequence[Prompt]]:
    placed, prompt = square_box(0, position)
    return placed, [prompt]


def masks_of(tracked: Sequence[TrackedFrame]) -> dict[tuple[int, int], NDArray[np.bool_]]:
    return {(o.object_id, t.frame_index): o.mask for t in tracked for o in t.objects}


def assert_alike(first: Sequence[TrackedFrame], second: Sequence[TrackedFrame]) -> None:
    ones, others = masks_of(first), masks_of(second)
    assert set(ones) == set(others)
    differing = sum(int((ones[key] != others[key]).sum()) for key in ones)
    assert differing <= 1e-5 * sum(mask.size for mask in ones.values())


def several() -> list[Shot]:
    return [
        shot(9, square_box(0, 0), square_box(1, 4), seed=1),
        shot(5, (2, mask_of(0, 2)), seed=2),
        shot(12, square_box(0, 3), (7, clicks(0, (36, 32, ON), correction=True)), seed=3),
        shot(20, square_box(0, 19), (0, box(1, 50, 40, 70, 70)), seed=4),
        shot(1, square_box(0, 0), seed=5),
    ]


def test_shots_of_several_threads_are_as_one_after_the_other(tracker: ThreadedTracker) -> None:
    clips = [shot.clip for shot in several()]
    alone = [list(tracker.track(clip)) for clip in clips]
    with ThreadPoolExecutor(len(clips)) as threads:
        together = list(threads.map(lambda clip: list(tracker.track(clip)), clips))
    for first, second in zip(alone, together, strict=True):
        assert_alike(first, second)
    assert {t.slot_utilization for tracked in alone for t in tracked} == {1 / MAX_CONCURRENT_SHOTS}
    assert {t.slot_utilization for tracked in together for t in tracked} <= {
        1 / MAX_CONCURRENT_SHOTS,
        1,
    }


def test_every_frame_is_reported_with_its_time(tracker: ThreadedTracker) -> None:
    """Once going forward; those with more to say once more, going back."""
    frames = several()[2].frames
    tracked = list(tracker.track(several()[2].clip))
    times = [(f.frame_index, f.pts_ns) for f in frames]
    assert [(t.frame_index, t.pts_ns) for t in tracked] == times + times[2::-1]
    assert [len(t.objects) for t in tracked] == [0] * 3 + [1] * 9 + [1] * 3


def test_going_forward_nothing_is_seen_before_the_prompts(forward: ThreadedTracker) -> None:
    tracked = list(forward.track(shot(6, square_box(4, 2), square_box(1, 4)).clip))
    ids = [[o.object_id for o in t.objects] for t in tracked]
    assert ids == [[], [], [4], [4], [1, 4], [1, 4]]


def test_scores_are_reported_where_the_model_has_them(tracker: ThreadedTracker) -> None:
    given = shot(3, square_box(0, 0), (0, mask_of(1, 0)))
    first, second, _ = tracker.track(given.clip)
    assert first.objects[0].predicted_iou is not None
    assert first.objects[1].predicted_iou is None, "a mask prompt is not predicted"
    for found in second.objects:
        assert found.predicted_iou is not None
        assert 0 <= found.predicted_iou <= 1
        assert np.isfinite(found.object_score)
        assert found.mask.shape == given.display_px
        assert found.mask.dtype == np.bool_


def test_frames_are_let_go(forward: ThreadedTracker) -> None:
    reading, most = Reading(60), 0
    for count, _ in enumerate(forward.track(reading.clip)):
        if count % 20 == 0:
            gc.collect()
        most = max(most, sum(rgb() is not None for rgb in reading.alive))
    assert len(reading.alive) == 60
    assert most <= 2


def test_a_slow_reader_holds_up_its_own_shot_alone(forward: ThreadedTracker) -> None:
    reading = Reading(500)
    slow = forward.track(reading.clip)
    next(slow)
    for _ in range(3):
        assert len(list(forward.track(shot(30, square_box(0, 0)).clip))) == 30
    assert len(reading.alive) <= MAX_AHEAD
    assert [next(slow).frame_index for _ in range(60)] == [3 * i for i in range(1, 61)]


def test_an_iterator_that_is_given_up_makes_room(config: Path) -> None:
    tracker = tracker_of(config, max_concurrent_shots=1, direction="forward")
    reading = Reading(10**6)
    tracked = tracker.track(reading.clip)
    assert [next(tracked).frame_index for _ in range(3)] == [0, 3, 6]
    close(tracked)
    assert len(list(tracker.track(shot(4, square_box(0, 0)).clip))) == 4
    News().until(lambda: reading.closed)


def test_one_that_was_never_started_takes_none(config: Path) -> None:
    tracker = tracker_of(config, max_concurrent_shots=1, direction="forward")
    reading = Reading(100)
    close(tracker.track(reading.clip))
    assert len(list(tracker.track(shot(4, square_box(0, 0)).clip))) == 4
    assert not reading.alive


def test_one_that_is_given_up_while_it_waits(config: Path) -> None:
    tracker = tracker_of(config, max_concurrent_shots=1, direction="forward")
    ahead = tracker.track(Reading(100).clip)
    next(ahead)
    with ThreadPoolExecutor(2) as threads:
        behind = [threads.submit(list, tracker.track(shot(4, square_box(0, 0)).clip))]
        behind.append(threads.submit(list, tracker.track(shot(5, square_box(0, 0)).clip)))
        close(ahead)
        assert [len(tracked.result()) for tracked in behind] == [4, 5]


def test_what_reading_raises_comes_after_the_frames_before_it(forward: ThreadedTracker) -> None:
    """And others go on."""
    broken = Reading(40, error_at=7)
    seen: list[int] = []

    def track_broken() -> None:
        seen.extend(tracked.frame_index for tracked in forward.track(broken.clip))

    with ThreadPoolExecutor(2) as threads:
        failing = threads.submit(track_broken)
        other = threads.submit(list, forward.track(shot(20, square_box(0, 0)).clip))
        with pytest.raises(DataError, match="frame 7 is broken"):
            failing.result()
        assert len(other.result()) == 20
    assert seen == [3 * position for position in range(7)]
    assert len(list(forward.track(shot(4, square_box(0, 0)).clip))) == 4


def test_a_bug_in_a_step_reaches_its_callers(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tracker = tracker_of(config, direction="forward")
    with monkeypatch.context() as patch:
        patch.setattr(Sam2, "encode", None)
        with pytest.raises(TypeError):
            list(tracker.track(shot(4, square_box(0, 0)).clip))
    assert len(list(tracker.track(shot(4, square_box(0, 0)).clip))) == 4


def test_a_closed_tracker_ends_what_it_tracks(config: Path) -> None:
    tracker = tracker_of(config, direction="forward")
    tracked = tracker.track(Reading(10**6).clip)
    next(tracked)
    tracker.close()
    with pytest.raises(RuntimeError, match="the tracker has been closed"):
        list(tracked)
    with pytest.raises(RuntimeError, match="the tracker has been closed"):
        list(tracker.track(shot(2, square_box(0, 0)).clip))


def test_bfloat16_is_nearly_the_same(config: Path, forward: ThreadedTracker) -> None:
    clip = shot(5, square_box(0, 0)).clip
    exact = masks_of(list(forward.track(clip)))
    coarse = list(tracker_of(config, direction="forward", precision="bfloat16").track(clip))
    for key, mask in masks_of(coarse).items():
        assert (mask & exact[key]).sum() >= 0.9 * (mask | exact[key]).sum()


def test_prompts_that_cannot_be_followed(tracker: ThreadedTracker) -> None:
    given = shot(3, square_box(0, 0), square_box(0, 0))
    with pytest.raises(DataError, match="at most one box") as caught:
        list(tracker.track(given.clip))
    assert caught.value.kind == "bad_prompt"


def close(tracked: Iterator[TrackedFrame]) -> None:
    assert isinstance(tracked, Generator)
    tracked.close()
