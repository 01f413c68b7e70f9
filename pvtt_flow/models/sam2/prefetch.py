"""Frames for one lane: decoded and resized ahead of the engine, a bounded number of them.

A frame is shrunk to the model's square, uint8, as soon as it is decoded, so what waits is small.
The resize is PIL's bicubic with antialiasing, the one that the official loader calls
(sam2/utils/misc.py:92-101).
"""

import threading
from collections import deque
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pvtt_flow.types import Frame

# What tells a clip shorter than that from all longer ones (sam2_base.py:588).
LOOK_AHEAD = 16


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A frame on its way into the model."""

    position: int
    """Among the frames of the shot that are processed."""
    frame_index: int
    pts_ns: int
    pixels: NDArray[np.uint8]
    """uint8 (S, S, 3) RGB."""


def square(rgb: NDArray[np.uint8], size_px: int) -> NDArray[np.uint8]:
    """uint8 (H, W, 3) to (S, S, 3), stretched, as the official loader does."""
    return np.asarray(Image.fromarray(rgb).resize((size_px, size_px)))


class Feed:
    """A thread that reads ahead of whoever takes its pictures."""

    def __init__(
        self,
        frames: Callable[[], Generator[tuple[int, Frame]]],
        size_px: int,
        wake: Callable[[], None],
    ) -> None:
        """`frames` gives (position, frame); `wake` is called when there is something new."""
        self._frames = frames
        self._size_px = size_px
        self._wake = wake
        self._waiting: deque[Picture] = deque()
        self._room = threading.Condition()
        self._stopped = False
        self.num_read = 0
        self.ended = False
        """Nothing will be added any more."""
        self.error: Exception | None = None
        """Why it ended early."""
        self._thread = threading.Thread(target=self._run, name="feed", daemon=True)
        self._thread.start()

    def peek(self) -> Picture | None:
        """The next picture, if it is there."""
        with self._room:
            return self._waiting[0] if self._waiting else None

    def pop(self) -> None:
        """Takes the next picture away."""
        with self._room:
            self._waiting.popleft()
            self._room.notify()

    @property
    def num_waiting(self) -> int:
        """Pictures that are read and not taken."""
        with self._room:
            return len(self._waiting)

    @property
    def exhausted(self) -> bool:
        """Whether everything has been taken."""
        with self._room:
            return self.ended and not self._waiting

    def stop(self) -> None:
        """Lets the thread go; what waits is dropped."""
        with self._room:
            self._stopped = True
            self._waiting.clear()
            self._room.notify()

    def _run(self) -> None:
        try:
            with closing(self._frames()) as frames:
                for position, frame in frames:
                    pixels = square(frame.rgb, self._size_px)
                    picture = Picture(position, frame.frame_index, frame.pts_ns, pixels)
                    del frame
                    if not self._put(picture):
                        return
        except Exception as error:  # noqa: BLE001 (whoever waits for the lane raises it)
            self.error = error
        finally:
            with self._room:
                self.ended = True
            self._wake()

    def _put(self, picture: Picture) -> bool:
        with self._room:
            self._room.wait_for(lambda: self._stopped or len(self._waiting) < LOOK_AHEAD)
            if self._stopped:
                return False
            self._waiting.append(picture)
            self.num_read += 1
        self._wake()
        return True
