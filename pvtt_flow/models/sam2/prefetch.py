"""Frames of one shot, decoded and resized by a thread ahead of the scheduler.

A frame is resized to the model's square image, uint8, as soon as it is decoded, so buffered frames
are small. On a GPU it is copied there from here (`frame_uploads.py`).
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pvtt_flow.models.sam2.frame_image import FrameImage
from pvtt_flow.types import Frame

# Enough to tell a shot with fewer frames from all longer ones: SAM 2 uses at most 16 object
# pointers, fewer in a shorter video (sam2_base.py, `max_obj_ptrs_in_encoder`).
PREFETCH_FRAMES = 16


@dataclass(frozen=True, slots=True, eq=False)
class ModelFrame:
    """Frame that is ready for the image encoder."""

    position: int
    """Index among the processed frames of the shot, from 0."""
    frame_index: int
    """Index in the video."""
    pts_ns: int
    image: FrameImage


class FramePrefetcher:
    """Thread that reads at most `PREFETCH_FRAMES` frames ahead of its consumer."""

    def __init__(
        self,
        frames: Callable[[], Generator[tuple[int, Frame]]],
        to_image: Callable[[NDArray[np.uint8]], FrameImage],
        notify: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare to read `frames()`, which yields (position, frame).

        `to_image` makes the model's image of a frame, uint8 (H, W, 3).
        `notify` is called, from the thread, after each new frame and at the end.
        """
        self._frames = frames
        self._to_image = to_image
        self._notify = notify
        self._buffer: deque[ModelFrame] = deque()
        self._condition = threading.Condition()
        self._clock = clock
        self._began_s, self._took_s = 0.0, 0.0
        """Time at which the thread began with its frame, and the seconds that the last one took."""
        self._stopped = False
        self.num_read = 0
        self.finished = False
        """Reading is over; no frame will be added."""
        self.error: Exception | None = None
        """Error that ended reading early."""
        self._thread = threading.Thread(target=self._run, name="prefetch", daemon=True)

    def start(self) -> None:
        """Start the thread, unless it was started before."""
        if self._thread.ident is None:
            self._thread.start()

    def peek(self) -> ModelFrame | None:
        """Return the next frame, or None when it is not read yet."""
        with self._condition:
            return self._buffer[0] if self._buffer else None

    def peek_after(self) -> list[ModelFrame]:
        """Return the frames that are read after the next one, in order."""
        with self._condition:
            return list(self._buffer)[1:]

    def pop(self) -> ModelFrame:
        """Remove and return the next frame, which must have been read."""
        with self._condition:
            self._condition.notify()
            return self._buffer.popleft()

    @property
    def num_buffered(self) -> int:
        """Number of frames that are read and not removed."""
        with self._condition:
            return len(self._buffer)

    @property
    def expected_s(self) -> float | None:
        """Time of the clock at which the next frame is expected; None if it is read, or none."""
        with self._condition:
            is_reading = not self._buffer and not self.finished and self.num_read
            return self._began_s + self._took_s if is_reading else None

    @property
    def exhausted(self) -> bool:
        """Return whether reading is over and each frame has been removed."""
        with self._condition:
            return self.finished and not self._buffer

    def stop(self) -> None:
        """Stop the thread and discard buffered frames."""
        with self._condition:
            self._stopped = True
            self._buffer.clear()
            self._condition.notify()

    def _run(self) -> None:
        try:
            self._began_s = self._clock()
            with closing(self._frames()) as frames:
                for position, frame in frames:
                    image = self._to_image(frame.rgb)
                    model_frame = ModelFrame(position, frame.frame_index, frame.pts_ns, image)
                    # A decoded frame is large; it must not live until the next one is there.
                    del frame, image
                    took_s = self._clock() - self._began_s
                    if not self._put(model_frame, took_s):
                        return
                    del model_frame
        except Exception as error:  # noqa: BLE001 (the shot's consumer raises it)
            self.error = error
        finally:
            with self._condition:
                self.finished = True
            self._notify()

    def _put(self, model_frame: ModelFrame, took_s: float) -> bool:
        """Wait for room and add a frame that took some seconds; return False when stopped."""
        with self._condition:
            self._condition.wait_for(lambda: self._stopped or len(self._buffer) < PREFETCH_FRAMES)
            if self._stopped:
                return False
            self._buffer.append(model_frame)
            self.num_read += 1
            # From here on the thread reads the next one.
            self._began_s, self._took_s = self._clock(), took_s
        self._notify()
        return True
