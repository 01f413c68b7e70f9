"""Entries of a memory bank: rows of memories, or of object pointers, and their frames.

Entries 0 … P-1 of a row are its conditioning frames; in the others a new frame takes the place of
one that is no longer kept. Frames that are kept stay where they are.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pvtt_flow.models.sam2.tensors import to_device

# Position of an empty entry: far from every frame in both directions, and safe to subtract.
EMPTY = -(1 << 40)
_MIN_CAPACITY = 8


@dataclass(frozen=True, slots=True, eq=False)
class Placement:
    """Places for a new frame of each of b rows."""

    rows: NDArray[np.int64]
    positions: NDArray[np.int64]
    entries: NDArray[np.int64]
    """-1 for a frame that is not kept."""
    gone: Sequence[AbstractSet[int]]
    """Positions of the frames that each row no longer keeps."""


@dataclass(frozen=True, slots=True, eq=False)
class RowEntries:
    """Entries of a row but its conditioning frames, N of them."""

    values: Tensor
    """(N, ...)."""
    positions: NDArray[np.int64]
    """int64 (N,): position of each entry's frame, or `EMPTY`."""


class MemoryEntries:
    """Entries of all rows."""

    def __init__(self, num_conditioning: int, num_others: int, like: Tensor) -> None:
        """Make no rows; an entry has the shape, dtype and device of `like`."""
        self._num_conditioning = num_conditioning
        num_entries = num_conditioning + num_others
        self.values = like.new_zeros(0, num_entries, *like.shape)
        """(capacity, P + N, ...)."""
        self.positions = np.full((0, num_entries), EMPTY, np.int64)
        """(capacity, P + N): position of each entry's frame, or `EMPTY`."""
        self._entry_of: list[dict[int, int]] = []
        """Entry of each frame but the conditioning ones, by its position, for each row."""

    def reserve(self, num_rows: int) -> None:
        """Make room for `num_rows` rows."""
        old = len(self.positions)
        if num_rows <= old:
            return
        capacity = max(_MIN_CAPACITY, 2 * old)
        values = self.values.new_zeros(capacity, *self.values.shape[1:])
        values[:old] = self.values
        positions = np.full((capacity, self.positions.shape[1]), EMPTY, np.int64)
        positions[:old] = self.positions
        self.values, self.positions = values, positions
        self._entry_of += [{} for _ in range(old, capacity)]

    def start(self, row: int, positions: Sequence[int], values: Sequence[Tensor]) -> None:
        """Begin a row with its P conditioning frames."""
        for entry, value in enumerate(values):
            self.values[row, entry] = value
        self.positions[row] = EMPTY
        self.positions[row, : self._num_conditioning] = positions
        self._entry_of[row] = {}

    def move(self, row: int, target: int) -> None:
        """Move a row over another one."""
        self.values[target] = self.values[row]
        self.positions[target] = self.positions[row]
        self._entry_of[target] = self._entry_of[row]

    def others(self, row: int) -> "RowEntries":
        """Return a copy of all but the conditioning frames of a row; empty entries are zeros."""
        first = self._num_conditioning
        values, positions = self.values[row, first:].clone(), self.positions[row, first:].copy()
        for entry in np.flatnonzero(positions == EMPTY).tolist():
            values[entry] = 0
        return RowEntries(values, positions)

    def set_others(self, row: int, entries: "RowEntries") -> None:
        """Replace all but the conditioning frames of a row, each in its place."""
        first = self._num_conditioning
        self.values[row, first:] = entries.values
        self.positions[row, first:] = entries.positions
        self._entry_of[row] = {
            position: entry
            for entry, position in enumerate(entries.positions.tolist(), first)
            if position != EMPTY
        }

    def place(
        self, rows: Sequence[int], positions: Sequence[int], kept: Sequence[Sequence[int]]
    ) -> Placement:
        """Choose the entry of a new frame of each row, whose frames `kept` are from then on.

        Changes nothing.
        """
        gone = [self._entry_of[row].keys() - each for row, each in zip(rows, kept, strict=True)]
        entries = [
            self._free_entry(self._entry_of[row], row_gone) if position in row_kept else -1
            for row, position, row_kept, row_gone in zip(rows, positions, kept, gone, strict=True)
        ]
        return Placement(np.array(rows), np.array(positions), np.array(entries), gone)

    def _free_entry(self, entry_of: Mapping[int, int], gone: AbstractSet[int]) -> int:
        if gone:
            return entry_of[min(gone)]
        taken = set(entry_of.values())
        return next(
            n for n in range(self._num_conditioning, len(self.positions[0])) if n not in taken
        )

    def select(self, placed: Placement, values: Tensor) -> tuple[Tensor, Tensor]:
        """Return rows and entries, (2, k), for those of new values (b, ...) that are kept, and
        these values."""
        target, kept = np.stack([placed.rows, placed.entries]), np.flatnonzero(placed.entries >= 0)
        if len(kept) < len(values):
            target, values = target[:, kept], values[self._to_device(kept)]
        return self._to_device(target), values.to(self.values.dtype)

    def store(self, target: Tensor, values: Tensor) -> None:
        """Store what `select` has returned."""
        self.values[target[0], target[1]] = values

    def note(self, placed: Placement) -> None:
        """Note the new frames, and forget those that are gone."""
        for row, gone in zip(placed.rows.tolist(), placed.gone, strict=True):
            for position in gone:
                self.positions[row, self._entry_of[row].pop(position)] = EMPTY
        new = zip(
            placed.rows.tolist(), placed.positions.tolist(), placed.entries.tolist(), strict=True
        )
        for row, position, entry in new:
            if entry >= 0:
                self.positions[row, entry] = position
                self._entry_of[row][position] = entry

    def gather(self, rows: NDArray[np.int64]) -> Tensor:
        """Return the values of rows, as a view where they are the first ones in order."""
        if np.array_equal(rows, np.arange(len(rows))):
            return self.values[: len(rows)]
        return self.values[self._to_device(rows)]

    def _to_device(self, values: NDArray[np.int64]) -> Tensor:
        return to_device(torch.from_numpy(values), self.values.device)
