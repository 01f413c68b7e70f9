"""Memory of STCN: keys of frames, and a value of each object that was there."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pvtt_flow.models.baselines.readout import l2_similarity, top_k_softmax


@dataclass(frozen=True, slots=True)
class StcnSettings:
    """Settings of the memory, by default those of the official evaluation."""

    mem_every: int = 5
    """Distance of remembered frames."""
    top_k: int = 20
    """Number of elements that a place reads."""
    include_last: bool = False
    """Read the last frame too, as long as it is the last."""
    max_frames: int = 50
    """Largest number of remembered frames on which no mask was given."""


@dataclass(frozen=True, slots=True, eq=False)
class MemoryFrame:
    """Frame that is remembered."""

    key: Tensor
    """Float (C, h * w)."""
    values: Tensor
    """Float (K, D, h * w) of the K objects that had entered by then."""
    is_given: bool
    """True if a mask was given on it."""


class StcnMemory:
    """Memory of one pass, bounded as the settings say."""

    def __init__(self, settings: StcnSettings) -> None:
        self._settings = settings
        self._mem_every = settings.mem_every
        self._frames: list[MemoryFrame] = []
        self._last: MemoryFrame | None = None
        self._age = 0
        """Number of frames since the last one that is kept."""

    @property
    def frames(self) -> tuple[MemoryFrame, ...]:
        """Frames that are read now, in order."""
        return (*self._frames, *(() if self._last is None else (self._last,)))

    def wants_next(self, *, is_given: bool) -> bool:
        """Count a frame, on which a mask is given or not; return whether to `add` it."""
        self._age += 1
        if is_given or self._age >= self._mem_every:
            self._age = 0
        return self._age == 0 or self._settings.include_last

    def add(self, frame: MemoryFrame) -> None:
        """Remember the frame that was counted last, or read it once."""
        self._last = None if self._age == 0 else frame
        if self._age > 0:
            return
        self._frames.append(frame)
        if sum(not kept.is_given for kept in self._frames) > self._settings.max_frames:
            self._frames = thinned(self._frames)
            self._mem_every *= 2

    def read(self, query: Tensor) -> Tensor:
        """Return the values (K, D, h, w) that a query (1, C, h, w) reads."""
        return read_memory(self.frames, query, self._settings.top_k)


def read_memory(frames: Sequence[MemoryFrame], query: Tensor, top_k: int) -> Tensor:
    """Return the values (K, D, h, w) that a query (1, C, h, w) reads for each object.

    An object is read from frames on which it had entered: each object has a memory of its own, as
    in the official evaluation on YouTube-VOS.
    """
    places = query[0].flatten(1)
    similarity = l2_similarity(torch.cat([frame.key for frame in frames], 1), places)
    parts: list[Tensor] = []
    size = places.shape[1]
    count = 0
    for first, frame in enumerate(frames):
        if len(frame.values) == count:
            continue
        # Objects that entered on this frame.
        affinity = top_k_softmax(similarity[first * size :], top_k).split(size)
        values = [later.values[count : len(frame.values)] for later in frames[first:]]
        # A sum over frames needs no copy of all values.
        parts.append(
            sum((v @ a for v, a in zip(values, affinity, strict=True)), places.new_zeros(()))
        )
        count = len(frame.values)
    return torch.cat(parts).unflatten(2, tuple(query.shape[2:]))


def thinned(frames: Sequence[MemoryFrame]) -> list[MemoryFrame]:
    """Return frames without each second of those on which no mask was given."""
    kept: list[MemoryFrame] = []
    is_odd = True
    for frame in frames:
        if frame.is_given or is_odd:
            kept.append(frame)
        is_odd = is_odd != (not frame.is_given)
    return kept
