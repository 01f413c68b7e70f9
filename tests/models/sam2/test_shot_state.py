"""One shot's way through the engine."""

import threading
from collections.abc import Iterator

import numpy as np
import pytest

from pvtt_flow.errors import DataError
from pvtt_flow.models.sam2.shot_state import Lane
from pvtt_flow.models.tracker import PromptedShot, TrackerParams
from pvtt_flow.types import Frame, Prompt
from tests.models.sam2.run_engine import Direction
from tests.models.sam2.shots import ON, box, clicks, frame, shot, square_box
from tests.models.sam2.wait_until import News

NUM_FRAMES = 150
PROMPTED = 140


def picture(position: int) -> Frame:
    return frame(position, np.full((8, 8, 3), position, np.uint8))


@pytest.fixture
def reads() -> list[tuple[int, int | None]]:
    return []


@pytest.fixture
def clip(reads: list[tuple[int, int | None]]) -> PromptedShot:
    def read(start: int, stop: int | None) -> Iterator[Frame]:
        reads.append((start, stop))
        return (picture(i) for i in range(start, NUM_FRAMES if stop is None else stop))

    prompts = {PROMPTED: [box(0, 0, 0, 4, 4)]}
    return PromptedShot(read=read, prompts=prompts, prompt_frames={PROMPTED: picture(PROMPTED)})


def drained(lane: Lane, news: News) -> Iterator[int]:
    while True:
        news.until(lambda: lane.pass_ended or lane.picture() is not None)
        due = lane.picture()
        if due is None:
            return
        assert due.pixels[0, 0, 0] == due.position
        yield due.position
        lane.take()


def test_it_goes_back_in_pieces(clip: PromptedShot, reads: list[tuple[int, int | None]]) -> None:
    """A decoder reads forward only: each piece is read so, and then turned."""
    news = News()
    lane = Lane(clip, TrackerParams(direction="both"), 8, news)
    lane.open()
    assert list(drained(lane, news)) == list(range(NUM_FRAMES))
    assert lane.turn()
    assert lane.step == -1
    assert lane.num_frames == NUM_FRAMES
    assert list(drained(lane, news)) == list(range(PROMPTED - 1, -1, -1))
    assert reads == [(0, None), (76, 140), (12, 76), (0, 12)]
    assert not lane.turn()


def test_backward_starts_at_the_prompt(clip: PromptedShot) -> None:
    news = News()
    lane = Lane(clip, TrackerParams(direction="backward"), 8, news)
    lane.open()
    assert not any(lane.tracked(position) for position in drained(lane, news))
    assert lane.turn()
    assert list(drained(lane, news)) == list(range(PROMPTED, -1, -1))


def test_forward_does_not_turn(clip: PromptedShot) -> None:
    news = News()
    lane = Lane(clip, TrackerParams(direction="forward"), 8, news)
    lane.open()
    seen = [position for position in drained(lane, news) if lane.tracked(position)]
    assert seen == list(range(PROMPTED, NUM_FRAMES))
    assert not lane.turn()


def test_a_lane_whose_results_nobody_takes_stands_still(clip: PromptedShot) -> None:
    news, full = News(), True
    lane = Lane(clip, TrackerParams(), 8, news, full=lambda: full)
    lane.open()
    news.until(lambda: lane.num_frames >= 16)
    assert lane.picture() is None
    full = False
    assert lane.picture() is not None
    lane.close()


@pytest.mark.parametrize("num_frames", [15, 16, 40])
def test_no_frame_is_tracked_before_it_is_known_whether_there_are_sixteen(num_frames: int) -> None:
    """The length of a shorter clip changes its first frames."""
    more, news = threading.Event(), News()

    def read(start: int, stop: int | None) -> Iterator[Frame]:
        yield from (picture(i) for i in range(14))
        assert more.wait(60)
        yield from (picture(i) for i in range(14, num_frames))

    clip = PromptedShot(read=read, prompts={0: [box(0, 0, 0, 4, 4)]}, prompt_frames={0: picture(0)})
    lane = Lane(clip, TrackerParams(), 8, news)
    lane.open()
    news.until(lambda: lane.num_frames == 14)
    assert lane.picture() is None
    more.set()
    news.until(lambda: lane.picture() is not None)
    assert min(lane.num_frames, 16) == min(num_frames, 16)
    lane.close()


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
def test_prompts_that_cannot_be_followed(
    placed: list[tuple[int, Prompt]], direction: Direction, message: str
) -> None:
    params = TrackerParams(direction=direction, max_prompted_frames=4)
    with pytest.raises(DataError, match=message) as caught:
        Lane(shot(8, *placed).clip, params, 8, News())
    assert caught.value.kind == "bad_prompt"


def test_corrections_on_both_sides_can_be_reached() -> None:
    placed = [square_box(0, 3), (1, CORRECTION), (5, CORRECTION)]
    lane = Lane(shot(8, *placed).clip, TrackerParams(direction="both"), 8, News())
    assert set(lane.objects[0].corrections) == {1, 5}
