"""Thread that reads frames ahead."""

import weakref
from collections.abc import Callable, Generator, Iterator
from threading import Semaphore

import numpy as np
import pytest
from numpy.typing import NDArray

from pvtt_flow.models.sam2.model_input import ModelInput, resize_to_square
from pvtt_flow.models.sam2.prefetch import PREFETCH_FRAMES, FramePrefetcher
from pvtt_flow.models.sam2.prompt_encoding import MaskFormat
from pvtt_flow.types import Frame
from tests.models.sam2.official import official_image
from tests.models.sam2.shots import frame, shot
from tests.models.sam2.wait_until import Notifier

SIZE_PX = 32
TO_IMAGE = ModelInput(SIZE_PX, MaskFormat(SIZE_PX)).image
Frames = Callable[[], Generator[tuple[int, Frame]]]


class Source:
    """Frames that are made when they are read."""

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


def started(frames: Frames, notifier: Notifier) -> FramePrefetcher:
    prefetcher = FramePrefetcher(frames, TO_IMAGE, notifier)
    prefetcher.start()
    return prefetcher


def drain(prefetcher: FramePrefetcher, notifier: Notifier) -> Iterator[int]:
    """Take each frame and yield its position."""
    while True:
        notifier.wait_until(lambda: prefetcher.exhausted or prefetcher.peek() is not None)
        model_frame = prefetcher.peek()
        if model_frame is None:
            return
        prefetcher.pop()
        yield model_frame.position


def test_frames_come_in_order_with_their_times() -> None:
    notifier = Notifier()
    prefetcher = started(Source(40), notifier)
    notifier.wait_until(lambda: prefetcher.peek() is not None)
    first = prefetcher.peek()
    assert first is not None
    assert (first.position, first.frame_index, first.pts_ns) == (0, 0, 0)
    assert isinstance(first.image, np.ndarray)
    assert first.image.shape == (SIZE_PX, SIZE_PX, 3)
    assert list(drain(prefetcher, notifier)) == list(range(40))
    assert prefetcher.num_read == 40
    assert prefetcher.finished
    assert prefetcher.error is None


def test_nothing_is_read_before_the_start() -> None:
    source = Source(3)
    prefetcher = FramePrefetcher(source, TO_IMAGE, Notifier())
    assert prefetcher.peek() is None
    assert not prefetcher.exhausted
    assert not source.alive


def test_the_buffer_is_bounded() -> None:
    source, notifier = Source(200), Notifier()
    prefetcher = started(source, notifier)
    for num_taken in range(50):
        notifier.wait_until(lambda: prefetcher.num_buffered == PREFETCH_FRAMES)
        # One more may have been read, and waits for room.
        assert len(source.alive) <= num_taken + PREFETCH_FRAMES + 1
        prefetcher.pop()
    prefetcher.stop()


def test_decoded_frames_are_released() -> None:
    source, notifier = Source(100), Notifier()
    prefetcher = started(source, notifier)
    most = 0
    for _ in drain(prefetcher, notifier):
        most = max(most, sum(rgb() is not None for rgb in source.alive))
    assert most <= 2, "the buffer holds small copies"


def test_an_error_comes_after_the_frames_before_it() -> None:
    error, notifier = OSError("the disk is gone"), Notifier()
    prefetcher = started(Source(3, error), notifier)
    assert list(drain(prefetcher, notifier)) == [0, 1, 2]
    assert prefetcher.error is error


def test_the_next_frame_is_expected_when_it_takes_as_long_as_the_last_one() -> None:
    """Only while it is read: not before the first frame, nor while one waits, nor at the end."""
    now_s, notifier, go_on = [100.0], Notifier(), Semaphore(0)

    def frames() -> Generator[tuple[int, Frame]]:
        for position in range(2):
            go_on.acquire()
            now_s[0] += 5
            yield position, frame(position, np.zeros((8, 8, 3), np.uint8))
        go_on.acquire()

    prefetcher = FramePrefetcher(frames, TO_IMAGE, notifier, clock=lambda: now_s[0])

    def expected_s() -> float | None:
        return prefetcher.expected_s

    prefetcher.start()
    assert expected_s() is None
    go_on.release()
    notifier.wait_until(lambda: prefetcher.num_buffered == 1)
    assert expected_s() is None
    prefetcher.pop()
    assert expected_s() == 105 + 5
    go_on.release(2)
    notifier.wait_until(lambda: prefetcher.finished)
    prefetcher.pop()
    assert expected_s() is None


def test_a_stopped_prefetcher_closes_its_source() -> None:
    source, notifier = Source(10**6), Notifier()
    prefetcher = started(source, notifier)
    notifier.wait_until(lambda: prefetcher.num_buffered == PREFETCH_FRAMES)
    prefetcher.stop()
    notifier.wait_until(lambda: prefetcher.finished)
    assert source.closed
    assert prefetcher.exhausted
    assert prefetcher.error is None


@pytest.mark.parametrize("size_px", [32, 128])
def test_images_equal_those_of_the_official_loader(size_px: int) -> None:
    rgb = shot(1).frames[0].rgb
    expected = official_image(rgb, size_px) * 255
    image = resize_to_square(rgb, size_px).transpose(2, 0, 1)
    assert np.abs(image - expected.numpy()).max() < 1e-3
