"""The memory bank: what each object remembers, in ring buffers of a fixed size.

One row an object, its owner. SAM 2 reads, on each frame (sam2_base.py:509-640):

    slots  0 … P-1     P … P+5            all of the P prompted frames, the last 6 others: memories
    slots  0 … P-1     P … P+14           the same frames' object pointers, the last 15 others

Nothing older is kept, so memory does not grow with a video. Each slot knows its frame; how old
that is, and whether it counts, follows from the frame that reads, so rows whose lanes are of
different ages and directions are read together.

Rows stay packed in `[0, len(bank))`, the last one moves into a gap, so a batch of all of them is
read without a copy. Only the bank knows rows; others name owners.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pvtt_flow.models.sam2.model import Sam2
from pvtt_flow.models.sam2.tensors import Past

# Far from every frame in both directions, and still safe to subtract.
_NEVER = np.int64(-(1 << 40))
_FIRST_CAPACITY = 8


@dataclass(frozen=True, slots=True, eq=False)
class Memory:
    """What one object keeps of one frame."""

    frame: int
    features: Tensor
    """(T, Cm)."""
    pointer: Tensor
    """(C,)."""


@dataclass(frozen=True, slots=True, eq=False)
class Reader:
    """Who reads, on which frame of its clip, in which direction."""

    owner: Hashable
    frame: int
    step: int
    """1 forward, -1 backward."""
    num_frames: int
    """Frames in the clip; all above 15 are alike."""


class Bank:
    """The rows of the objects that have the same number P of prompted frames."""

    def __init__(self, model: Sam2, num_prompted: int, dtype: torch.dtype) -> None:
        self._model = model
        self._prompted = num_prompted
        self._num_recent = model.num_memories - 1
        self._num_pointers = model.max_pointers - 1
        self._dtype = dtype
        self._memories: Tensor
        self._pointers: Tensor
        self._memory_frames: NDArray[np.int64]
        self._pointer_frames: NDArray[np.int64]
        self._num_written: NDArray[np.int64]
        self._owners: list[Hashable] = []
        self._row_of: dict[Hashable, int] = {}
        self._allocate(0)

    def __len__(self) -> int:
        return len(self._owners)

    def add(self, owner: Hashable, prompted: Sequence[Memory]) -> None:
        """A row for a new object that remembers its P prompted frames."""
        if len(prompted) != self._prompted:
            raise ValueError(
                f"a row must have {self._prompted} prompted frames, got {len(prompted)}"
            )
        row = len(self)
        if row == len(self._memory_frames):
            self._allocate(row)
        self._owners.append(owner)
        self._row_of[owner] = row
        self._memory_frames[row] = self._pointer_frames[row] = _NEVER
        self._num_written[row] = 0
        for slot, memory in enumerate(prompted):
            self._memories[row, slot] = memory.features
            self._pointers[row, slot] = memory.pointer
            self._memory_frames[row, slot] = self._pointer_frames[row, slot] = memory.frame

    def remove(self, owner: Hashable) -> None:
        """Frees a row."""
        row, moved = self._row_of.pop(owner), self._owners.pop()
        if moved is owner:
            return
        last = len(self)
        for tensor in (self._memories, self._pointers):
            tensor[row] = tensor[last]
        for table in (self._memory_frames, self._pointer_frames, self._num_written):
            table[row] = table[last]
        self._owners[row] = moved
        self._row_of[moved] = row

    def write(
        self, owners: Sequence[Hashable], frames: Sequence[int], memories: Tensor, pointers: Tensor
    ) -> None:
        """One more frame for each owner: memories (b, T, Cm) and pointers (b, C)."""
        at = np.array([self._row_of[owner] for owner in owners])
        recent = self._prompted + self._num_written[at] % self._num_recent
        pointer = self._prompted + self._num_written[at] % self._num_pointers
        self._memories[self._index(at), self._index(recent)] = memories.to(self._dtype)
        self._pointers[self._index(at), self._index(pointer)] = pointers.float()
        self._memory_frames[at, recent] = frames
        self._pointer_frames[at, pointer] = frames
        self._num_written[at] += 1

    def read(self, readers: Sequence[Reader]) -> Past:
        """What these owners remember, cut to the slots that any of them has."""
        rows = np.array([self._row_of[r.owner] for r in readers])
        distance, counts = self._pointer_ages(readers, rows)
        age, present = self._memory_ages(readers, rows)
        num_memories, num_pointers = self._used(present), self._used(counts)
        present, counts = present[:, :num_memories], counts[:, :num_pointers]
        memories = self._rows(self._memories, rows)[:, :num_memories]
        pointers = self._rows(self._pointers, rows)[:, :num_pointers]
        positions = self._memory_positions(age[:, :num_memories])
        pointer_positions = self._model.memory.pointer_positions(
            self._tensor(distance[:, :num_pointers])
        )
        tokens = pointers.unflatten(2, (-1, self._model.memory_dim)).to(memories.dtype)
        values = torch.cat([memories.flatten(1, 2), tokens.flatten(1, 2)], 1)
        keys = torch.cat(
            [
                (memories + positions).flatten(1, 2),
                (tokens + pointer_positions[:, :, None]).flatten(1, 2),
            ],
            1,
        )
        return Past(
            keys=keys,
            values=values,
            num_rotated=num_memories * memories.shape[2],
            bias=self._bias(present, counts, memories.shape[2], tokens.shape[2]),
        )

    def recent(self, owner: Hashable) -> list[Memory]:
        """Copies of the owner's other frames, oldest first; `write` them to have them again."""
        row = self._row_of[owner]
        written = int(self._num_written[row])
        return [
            self._copy(
                row,
                self._prompted + nth % self._num_recent,
                self._prompted + nth % self._num_pointers,
            )
            for nth in range(max(0, written - self._num_pointers), written)
        ]

    def _copy(self, row: int, memory_slot: int, pointer_slot: int) -> Memory:
        # A pointer outlives its memory: the slot then holds a newer one, which is too old to be
        # read under this frame's age, and is written over again by the frames that follow.
        return Memory(
            frame=int(self._pointer_frames[row, pointer_slot]),
            features=self._memories[row, memory_slot].clone(),
            pointer=self._pointers[row, pointer_slot].clone(),
        )

    def _memory_ages(
        self, readers: Sequence[Reader], rows: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Index into the table of ages (b, P+6), and whether there is such a memory."""
        age = self._ages(readers, self._memory_frames[rows])
        present = (age >= 1) & (age <= self._num_recent)
        age = np.clip(age, 1, self._num_recent) - 1
        present[:, : self._prompted] = True
        age[:, : self._prompted] = self._num_recent
        return age, present

    def _pointer_ages(
        self, readers: Sequence[Reader], rows: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Distance over the longest distance (b, P+15), and whether the pointer counts."""
        age = self._ages(readers, self._pointer_frames[rows])
        longest = np.array([min(r.num_frames, self._model.max_pointers) - 1 for r in readers])
        counts = (age >= 1) & (age <= longest[:, None])
        # A prompted frame's pointer counts from then on, however long ago; a later one's not yet.
        counts[:, : self._prompted] = age[:, : self._prompted] >= 0
        return np.where(counts, age / longest[:, None], 0).astype(np.float32), counts

    def _ages(self, readers: Sequence[Reader], frames: NDArray[np.int64]) -> NDArray[np.int64]:
        now = np.array([r.frame for r in readers])[:, None]
        step = np.array([r.step for r in readers])[:, None]
        ages: NDArray[np.int64] = (now - frames) * step
        return ages

    def _used(self, slots: NDArray[np.bool_]) -> int:
        """How many slots to read so that none that any row has is missed."""
        if self._model.fixed_shapes:
            return slots.shape[1]
        return int(np.flatnonzero(slots.any(0))[-1]) + 1

    def _memory_positions(self, age: NDArray[np.int64]) -> Tensor:
        """(b, slots, T, Cm): the place on the grid and the age."""
        ages = self._model.memory.ages[self._index(age)]
        return (self._model.memory.places + ages[:, :, None]).to(self._dtype)

    def _bias(
        self,
        present: NDArray[np.bool_],
        counts: NDArray[np.bool_],
        memory_tokens: int,
        pointer_tokens: int,
    ) -> Tensor | None:
        if present.all() and counts.all():
            return None
        slots = [present.repeat(memory_tokens, 1), counts.repeat(pointer_tokens, 1)]
        bias = np.where(np.concatenate(slots, 1), 0, -np.inf).astype(np.float32)
        return self._tensor(bias)[:, None]

    def _rows(self, array: Tensor, rows: NDArray[np.int64]) -> Tensor:
        if np.array_equal(rows, np.arange(len(rows))):
            return array[: len(rows)]
        return array[self._index(rows)]

    def _index(self, values: NDArray[np.int64]) -> Tensor:
        return torch.from_numpy(values).to(self._memories.device, non_blocking=True)

    def _tensor(self, values: NDArray[np.float32]) -> Tensor:
        return torch.from_numpy(values).to(self._memories.device, non_blocking=True)

    def _allocate(self, kept: int) -> None:
        """Room for twice the rows, keeping the first `kept`."""
        model, capacity = self._model, max(_FIRST_CAPACITY, 2 * kept)
        memory = (self._prompted + self._num_recent, len(model.memory.places))
        pointer = (self._prompted + self._num_pointers, model.dim)
        memories = torch.zeros(
            capacity, *memory, model.memory_dim, dtype=self._dtype, device=model.device
        )
        pointers = torch.zeros(capacity, *pointer, device=model.device)
        memory_frames = np.full((capacity, memory[0]), _NEVER)
        pointer_frames = np.full((capacity, pointer[0]), _NEVER)
        num_written = np.zeros(capacity, np.int64)
        if kept:
            memories[:kept], pointers[:kept] = self._memories, self._pointers
            memory_frames[:kept], pointer_frames[:kept] = self._memory_frames, self._pointer_frames
            num_written[:kept] = self._num_written
        self._memories, self._pointers = memories, pointers
        self._memory_frames, self._pointer_frames = memory_frames, pointer_frames
        self._num_written = num_written
