"""What flows between the parts of the model: batches of frames, of sights, of memories.

Shapes here and in the whole engine: F frames, b objects, S image side, h = w = S / 16 grid side,
T = h * w tokens, C channels, Cm memory channels, L keys. A mask is logits at S / 4.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Features:
    """F encoded frames."""

    top: Tensor
    """(F, T, C): the coarsest level, before any memory."""
    fine: tuple[Tensor, ...]
    """(F, C/8, 4h, 4w) and (F, C/4, 2h, 2w), for the mask decoder."""
    memory_base: Tensor
    """(F, C, h, w): the frame's share of a memory."""

    def take(self, frames: Sequence[int]) -> "Features":
        """The features of some frames, repeated where several objects share one."""
        if _all(frames, self.top):
            return self
        index = _index(frames, self.top)
        return Features(
            top=self.top[index],
            fine=tuple(level[index] for level in self.fine),
            memory_base=self.memory_base[index],
        )


@dataclass(frozen=True, slots=True)
class Start:
    """What memory attention computes of F frames before it looks at any memory."""

    tokens: Tensor
    """(F, T, C) after the first self-attention."""
    queries: Tensor
    """(F, T, C) of the first cross-attention, rotated."""

    def take(self, frames: Sequence[int]) -> "Start":
        """The starts of some frames, repeated where several objects share one."""
        if _all(frames, self.tokens):
            return self
        index = _index(frames, self.tokens)
        return Start(tokens=self.tokens[index], queries=self.queries[index])


@dataclass(frozen=True, slots=True)
class Past:
    """What b objects remember, ready to be attended to (`bank.Bank.read` makes it)."""

    keys: Tensor
    """(b, L, Cm): memories and pointers plus their positions."""
    values: Tensor
    """(b, L, Cm): the same without positions."""
    num_rotated: int
    """The first so many of the L lie on the grid; the rest are pointers."""
    bias: Tensor | None
    """(b, 1, L): 0, or -inf where this object has nothing; None when all have everything."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What the model sees of b objects, one frame each."""

    logits: Tensor
    """float32 (b, 4h, 4w); above 0 is the object."""
    score: Tensor
    """float32 (b,): the object score; above 0 means present."""
    iou: Tensor
    """float32 (b,): the model's estimate for the mask; NaN where the mask was given."""
    pointer: Tensor
    """(b, C)."""

    def take(self, objects: Sequence[int]) -> "Sight":
        """The sights of some of the objects."""
        if _all(objects, self.score):
            return self
        index = _index(objects, self.score)
        return Sight(self.logits[index], self.score[index], self.iou[index], self.pointer[index])

    def row(self, i: int) -> "Sight":
        """One object's, b = 1, without a copy."""
        one = slice(i, i + 1)
        return Sight(self.logits[one], self.score[one], self.iou[one], self.pointer[one])

    def with_logits(self, logits: Tensor) -> "Sight":
        """The same sight with other masks."""
        return Sight(logits, self.score, self.iou, self.pointer)


def _all(items: Sequence[int], tensor: Tensor) -> bool:
    """Whether that is everything, so that nothing needs to be copied."""
    return list(items) == list(range(len(tensor)))


def _index(items: Sequence[int], tensor: Tensor) -> Tensor:
    return torch.tensor(items, device=tensor.device)
