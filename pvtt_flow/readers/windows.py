"""Which frames of a masklet make which clip."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """Clips of equally many frames, cut from masklets; positions count a masklet's frames."""

    num_frames: int | None = None
    """Frames in a clip; None takes each masklet whole, as one clip."""
    every: int = 1
    """Take every n-th frame."""
    hop: int | None = None
    """From the start of one clip to that of the next; None lets them follow each other."""

    def __post_init__(self) -> None:
        for name in ("num_frames", "every", "hop"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        if self.num_frames is None and self.hop is not None:
            raise ValueError("hop must be None when num_frames is: each masklet is one clip")

    def count(self, lengths: NDArray[np.int64]) -> NDArray[np.int64]:
        """How many clips there are in masklets of so many frames; none in one that is too short."""
        if self.num_frames is None:
            return (lengths > 0).astype(np.int64)
        return np.maximum(0, (lengths - self._span) // self._hop + 1)

    def positions(self, length: int, number: int) -> range:
        """The frames of one clip of a masklet."""
        if self.num_frames is None:
            return range(0, length, self.every)
        start = number * self._hop
        return range(start, start + self._span, self.every)

    @property
    def _span(self) -> int:
        """From a clip's first frame to its last, both included."""
        return ((self.num_frames or 1) - 1) * self.every + 1

    @property
    def _hop(self) -> int:
        return self.hop or (self.num_frames or 1) * self.every
