"""Store of keys, and of values of objects, of which the working and the long-term memory are one.

Objects that enter on the same frame are a group. Keys are shared, and a group has values for the
last elements of the store, from its first frame on; so the values of a group with n elements belong
to the last n keys.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

# Life of an element that was not read yet.
_NEW = 1e-7


@dataclass(frozen=True, slots=True, eq=False)
class Elements:
    """Elements of a memory; N is their number."""

    keys: Tensor
    """Float (C, N)."""
    shrinkage: Tensor
    """Float (N)."""
    selection: Tensor
    """Float (C, N)."""
    uses: Tensor
    """Float (N), sum of the affinities with which each was read."""
    lives: Tensor
    """Float (N), number of frames since each was added."""
    values: tuple[Tensor, ...]
    """Float (K, D, n) of each group, of the last n elements."""

    @classmethod
    def fresh(
        cls, keys: Tensor, shrinkage: Tensor, selection: Tensor, values: Sequence[Tensor]
    ) -> "Elements":
        """Return elements that were not read yet."""
        uses = torch.zeros_like(shrinkage)
        return cls(keys, shrinkage, selection, uses, uses + _NEW, tuple(values))

    def __len__(self) -> int:
        return len(self.shrinkage)

    @property
    def usage(self) -> Tensor:
        """Mean affinity (N) of each element since it was added."""
        return self.uses / self.lives

    def read_with(self, affinity: Tensor) -> "Elements":
        """Return the elements one frame later, when they were read with an affinity (N, Q)."""
        return self._with_usage(self.uses + affinity.sum(1), self.lives + 1)

    def followed_by(self, later: "Elements") -> "Elements":
        """Return the elements of two stores; groups that the later one lacks get no more values."""
        values = [torch.cat([a, b], 2) for a, b in zip(self.values, later.values, strict=False)]
        longer = max(self.values, later.values, key=len)
        return Elements(
            torch.cat([self.keys, later.keys], 1),
            torch.cat([self.shrinkage, later.shrinkage]),
            torch.cat([self.selection, later.selection], 1),
            torch.cat([self.uses, later.uses]),
            torch.cat([self.lives, later.lives]),
            (*values, *longer[len(values) :]),
        )

    def at(self, chosen: Tensor) -> "Elements":
        """Return some elements, given as indices (M) in ascending order, with their values."""
        return self.with_values(chosen, [_last(v, chosen, len(self)) for v in self.values])

    def with_values(self, chosen: Tensor, values: Sequence[Tensor]) -> "Elements":
        """Return some elements, given as indices (M), with other values."""
        return Elements(
            self.keys[:, chosen],
            self.shrinkage[chosen],
            self.selection[:, chosen],
            self.uses[chosen],
            self.lives[chosen],
            tuple(values),
        )

    def _with_usage(self, uses: Tensor, lives: Tensor) -> "Elements":
        return Elements(self.keys, self.shrinkage, self.selection, uses, lives, self.values)


def _last(values: Tensor, chosen: Tensor, total: int) -> Tensor:
    """Return the values (K, D, n) of the last n elements at those indices that they have."""
    indices = chosen - (total - values.shape[2])
    return values[..., indices[indices >= 0]]
