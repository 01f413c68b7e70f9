"""The thread that reads ahead."""

import weakref
from collections.abc import Callable, Generator, Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from pvtt_flow.models.sam2.prefetch import LOOK_AHEAD, Feed, square
from pvtt_flow.types import Frame
from tests.models.sam2.official import official_image
from tests.models.sam2.shots import frame, shot
from tests.models.sam2.wait_until import News

SIZE_PX = 32
Frames = Callable[[], Generator[tuple[int, Frame]]]


class Source:
    """Frames that are made when they are asked for."""

    def __init__(self, num_frames: int, error: Exception | None = None) -> None:
        self._num_frames = num_frames
        self._error = error
        self.alive: list[weakref.ref[NDArray[np.uint8]]] = []
        self.closed = False

    def __call__(self) -> Generator[tuple[int, Frame]]:
        try:
            yield from ((i, self._frame(i)) for i in range(self._num_frames))
            if self._error:
                raise self._error
        finally:
            self.closed = True

    def _frame(self, position: int) -> Frame:
        rgb = np.full((48, 64, 3), position, np.uint8)
        self.alive.append(weakref.ref(rgb))
        return frame(position, rgb)


def drained(feed: Feed, news: News) -> Iterator[int]:
    while True:
        news.until(lambda: feed.exhausted or feed.peek() is not None)
        picture = feed.peek()
        if picture is None:
            return
        feed.pop()
        yield picture.position


def test_pictures_come_in_order_with_their_times() -> None:
    news = News()
    feed = Feed(Source(40), SIZE_PX, news)
    news.until(lambda: feed.peek() is not None)
    first = feed.peek()
    assert first is not None
    assert (first.position, first.frame_index, first.pts_ns) == (0, 0, 0)
    assert first.pixels.shape == (SIZE_PX, SIZE_PX, 3)
    assert list(drained(feed, news)) == list(range(40))
    assert feed.num_read == 40
    assert feed.ended
    assert feed.error is None


def test_only_so_many_wait() -> None:
    source, news = Source(200), News()
    feed = Feed(source, SIZE_PX, news)
    for taken in range(50):
        news.until(lambda: feed.num_waiting == LOOK_AHEAD)
        # One more may have been read, which finds no room.
        assert len(source.alive) <= taken + LOOK_AHEAD + 1
        feed.pop()
    feed.stop()


def test_what_is_read_is_let_go() -> None:
    source, news = Source(100), News()
    feed = Feed(source, SIZE_PX, news)
    most = 0
    for _ in drained(feed, news):
        most = max(most, sum(rgb() is not None for rgb in source.alive))
    assert most <= 2, "what waits is small copies"


def test_an_error_comes_after_what_was_read_before_it() -> None:
    error, news = OSError("the disk is gone"), News()
    feed = Feed(Source(3, error), SIZE_PX, news)
    assert list(drained(feed, news)) == [0, 1, 2]
    assert feed.error is error


def test_a_stopped_feed_lets_its_source_go() -> None:
    source, news = Source(10**6), News()
    feed = Feed(source, SIZE_PX, news)
    news.until(lambda: feed.num_waiting == LOOK_AHEAD)
    feed.stop()
    news.until(lambda: feed.ended)
    assert source.closed
    assert feed.exhausted
    assert feed.error is None


@pytest.mark.parametrize("size_px", [32, 128])
def test_pictures_are_those_of_the_official_loader(size_px: int) -> None:
    rgb = shot(1).frames[0].rgb
    expected = official_image(rgb, size_px) * 255
    found = square(rgb, size_px).transpose(2, 0, 1)
    assert np.abs(found - expected.numpy()).max() < 1e-3
