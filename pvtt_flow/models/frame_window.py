"""A stream of frames that looks like a sequence near its reading point."""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from pvtt_flow.data import Frame

# `min(num_frames, 16)` scales the pointers' positions (sam2_base.py:588), so the length matters
# only for clips shorter than that: looking 16 frames ahead makes those exact as well.
LOOK_AHEAD = 16


class FrameWindow:
    """The predictor's `images`: a stream that looks like a sequence near its reading point.

    Holds the model's small images, not the frames: those of the prompted ones and at most
    `LOOK_AHEAD + 1` others.
    """

    def __init__(
        self,
        frames: Iterable[Frame],
        image_of: Callable[[NDArray[np.uint8]], torch.Tensor],
        pinned: Mapping[int, torch.Tensor],
    ) -> None:
        self._frames = iter(frames)
        self._image_of = image_of
        self._pinned = pinned
        self._held: OrderedDict[int, tuple[tuple[int, int], torch.Tensor]] = OrderedDict()
        self._num_read = 0
        self.length: int | None = None
        """Frames in the shot, once the stream has ended."""
        self._read_until(LOOK_AHEAD)

    def has(self, position: int) -> bool:
        """Whether the shot has a frame at this position; moves the window so that it is held."""
        self._read_until(position + 1)
        while self._held and next(iter(self._held)) < position:
            self._held.popitem(last=False)
        return self.length is None or position < self.length

    def time(self, position: int) -> tuple[int, int]:
        """(frame_index, pts_ns) at a position that `has` has just been asked for."""
        return self._held[position][0]

    def __getitem__(self, position: int) -> torch.Tensor:
        """float32 (3, S, S): the image the model sees at a held or prompted position."""
        pinned = self._pinned.get(position)
        return self._held[position][1] if pinned is None else pinned

    def _read_until(self, num_frames: int) -> None:
        while self._num_read < num_frames and self.length is None:
            frame = next(self._frames, None)
            if frame is None:
                self.length = self._num_read
                return
            time = frame.frame_index, frame.pts_ns
            self._held[self._num_read] = (time, self._image_of(frame.rgb))
            self._num_read += 1
