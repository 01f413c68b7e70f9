"""Memory bank: memories and object pointers of all objects, in ring buffers of a fixed size.

Each object has a row of entries. With P conditioning frames, an object on any frame attends to
(sam2/modeling/sam2_base.py, `SAM2Base._prepare_memory_conditioned_features`):

    memories   entries 0 … P-1: conditioning frames   entries P … P+5:  6 most recent other frames
    pointers   entries 0 … P-1: conditioning frames   entries P … P+14: 15 most recent other frames

Older entries are overwritten, so memory use does not grow with the length of a video. Each entry
stores its frame's position; age and visibility follow from the frame that reads, so shots of
different ages and directions are read in one batch.

Rows stay packed in `[0, len(bank))`: the last row moves into a gap, so that a batch of all rows is
read without a copy. Callers name objects (owners); row numbers are private.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pvtt_flow.models.sam2.model import Sam2
from pvtt_flow.models.sam2.tensors import MemoryContext, to_device

# Position of an empty entry: far from every frame in both directions, and safe to subtract.
_EMPTY = np.int64(-(1 << 40))
_MIN_CAPACITY = 8


@dataclass(frozen=True, slots=True, eq=False)
class Memory:
    """Memory of one object on one frame."""

    position: int
    features: Tensor
    """(T, Cm)."""
    object_pointer: Tensor
    """(C,)."""


@dataclass(frozen=True, slots=True, eq=False)
class MemoryQuery:
    """Object and frame for which memories are read."""

    owner: Hashable
    position: int
    time_sign: int
    """1 forward, -1 backward (`tpos_sign_mul`)."""
    num_frames: int
    """Frames in the shot; values above 15 are equivalent."""


class MemoryBank:
    """Rows of all objects with the same number P of conditioning frames."""

    def __init__(self, model: Sam2, num_conditioning: int, dtype: torch.dtype) -> None:
        """Make an empty bank; `dtype` is that of the stored memories."""
        self._model = model
        self.num_conditioning = num_conditioning
        self._num_recent_memories = model.num_memories - 1
        self._num_recent_pointers = model.max_object_pointers - 1
        self._dtype = dtype
        self._memories: Tensor
        """(capacity, P + 6, T, Cm)."""
        self._pointers: Tensor
        """float32 (capacity, P + 15, C)."""
        self._memory_positions: NDArray[np.int64]
        """(capacity, P + 6)."""
        self._pointer_positions: NDArray[np.int64]
        """(capacity, P + 15)."""
        self._num_written: NDArray[np.int64]
        """(capacity,): frames that were written to each row, without conditioning frames."""
        self._owners: list[Hashable] = []
        """Owner of each row."""
        self._row_of: dict[Hashable, int] = {}
        self._grow(0)

    def __len__(self) -> int:
        return len(self._owners)

    def add(
        self, owner: Hashable, conditioning: Sequence[Memory], recent: Sequence[Memory] = ()
    ) -> None:
        """Allocate a row for an object, with its P conditioning frames and `recent`, oldest first.

        Without a row if the device's memory runs out.
        """
        if len(conditioning) != self.num_conditioning:
            raise ValueError(
                f"a row must have {self.num_conditioning} conditioning frames, "
                f"got {len(conditioning)}"
            )
        row = len(self)
        if row == len(self._memory_positions):
            self._grow(row)
        self._memory_positions[row] = self._pointer_positions[row] = _EMPTY
        self._num_written[row] = 0
        for entry, memory in enumerate(conditioning):
            self._memories[row, entry] = memory.features
            self._pointers[row, entry] = memory.object_pointer
            self._memory_positions[row, entry] = memory.position
            self._pointer_positions[row, entry] = memory.position
        self._owners.append(owner)
        self._row_of[owner] = row
        try:
            for memory in recent:
                features, pointer = memory.features[None], memory.object_pointer[None]
                self.write([owner], [memory.position], features, pointer)
        except torch.OutOfMemoryError:
            self.remove(owner)
            raise

    def remove(self, owner: Hashable) -> None:
        """Free the row of an object."""
        row, last_owner = self._row_of.pop(owner), self._owners.pop()
        if last_owner is owner:
            return
        last = len(self)
        for tensor in (self._memories, self._pointers):
            tensor[row] = tensor[last]
        for array in (self._memory_positions, self._pointer_positions, self._num_written):
            array[row] = array[last]
        self._owners[row] = last_owner
        self._row_of[last_owner] = row

    def write(
        self,
        owners: Sequence[Hashable],
        positions: Sequence[int],
        memories: Tensor,
        pointers: Tensor,
    ) -> None:
        """Write one frame for each owner: memories (b, T, Cm) and object pointers (b, C).

        If the device's memory runs out, the same frame can be written again.
        """
        rows = np.array([self._row_of[owner] for owner in owners])
        first, written = self.num_conditioning, self._num_written[rows]
        memory_entries = first + written % self._num_recent_memories
        pointer_entries = first + written % self._num_recent_pointers
        device_rows = self._to_device(rows)
        self._memories[device_rows, self._to_device(memory_entries)] = memories.to(self._dtype)
        self._pointers[device_rows, self._to_device(pointer_entries)] = pointers.float()
        self._memory_positions[rows, memory_entries] = positions
        self._pointer_positions[rows, pointer_entries] = positions
        self._num_written[rows] += 1

    def read(self, queries: Sequence[MemoryQuery]) -> MemoryContext:
        """Return the memories that each query attends to, cut to the entries that any query has."""
        rows = np.array([self._row_of[q.owner] for q in queries])
        distances, has_pointer = self._pointer_distances(queries, rows)
        age_index, has_memory = self._memory_ages(queries, rows)
        num_memories = self._num_read(has_memory)
        num_pointers = self._num_read(has_pointer)
        has_memory, has_pointer = has_memory[:, :num_memories], has_pointer[:, :num_pointers]
        memories = self._gather(self._memories, rows)[:, :num_memories]
        pointers = self._gather(self._pointers, rows)[:, :num_pointers]
        memory_encoding = self._encode_memory_positions(age_index[:, :num_memories])
        pointer_encoding = self._model.memory_encoder.encode_pointer_positions(
            self._to_device(distances[:, :num_pointers])
        )
        # SAM 2 splits a pointer of C channels into C / Cm tokens.
        pointers = pointers.unflatten(2, (-1, self._model.memory_dim)).to(memories.dtype)
        values = torch.cat([memories.flatten(1, 2), pointers.flatten(1, 2)], 1)
        keys = torch.cat(
            [
                (memories + memory_encoding).flatten(1, 2),
                (pointers + pointer_encoding[:, :, None]).flatten(1, 2),
            ],
            1,
        )
        return MemoryContext(
            keys=keys,
            values=values,
            num_rotated=num_memories * memories.shape[2],
            bias=self._bias(has_memory, has_pointer, memories.shape[2], pointers.shape[2]),
        )

    def recent(self, owner: Hashable) -> list[Memory]:
        """Return copies of an object's memories without conditioning frames, oldest first.

        `add` restores them in another row.
        """
        row = self._row_of[owner]
        first, num_written = self.num_conditioning, int(self._num_written[row])
        return [
            self._copy(
                row,
                first + nth % self._num_recent_memories,
                first + nth % self._num_recent_pointers,
            )
            for nth in range(max(0, num_written - self._num_recent_pointers), num_written)
        ]

    def _copy(self, row: int, memory_entry: int, pointer_entry: int) -> Memory:
        # A pointer outlives its memory, whose entry then holds a newer one. Restoring that under
        # this older position does no harm: it is too old to be read, and later frames overwrite it.
        return Memory(
            position=int(self._pointer_positions[row, pointer_entry]),
            features=self._memories[row, memory_entry].clone(),
            object_pointer=self._pointers[row, pointer_entry].clone(),
        )

    def _memory_ages(
        self, queries: Sequence[MemoryQuery], rows: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Return indices into `temporal_positions`, and which memories exist, both (b, P + 6)."""
        ages = _ages(queries, self._memory_positions[rows])
        has_memory = (ages >= 1) & (ages <= self._num_recent_memories)
        age_index = np.clip(ages, 1, self._num_recent_memories) - 1
        has_memory[:, : self.num_conditioning] = True
        age_index[:, : self.num_conditioning] = self._num_recent_memories
        return age_index, has_memory

    def _pointer_distances(
        self, queries: Sequence[MemoryQuery], rows: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Return distances divided by the longest one, and which pointers exist, (b, P + 15)."""
        ages = _ages(queries, self._pointer_positions[rows])
        max_pointers = self._model.max_object_pointers
        longest = np.array([min(q.num_frames, max_pointers) - 1 for q in queries])
        has_pointer = (ages >= 1) & (ages <= longest[:, None])
        # Pointers of conditioning frames have no age limit, but must lie in the past.
        has_pointer[:, : self.num_conditioning] = ages[:, : self.num_conditioning] >= 0
        distances = np.where(has_pointer, ages / longest[:, None], 0).astype(np.float32)
        return distances, has_pointer

    def _num_read(self, exists: NDArray[np.bool_]) -> int:
        """Return how many leading entries to read to include each entry that exists (b, n)."""
        if self._model.has_full_context:
            return exists.shape[1]
        return int(np.flatnonzero(exists.any(0))[-1]) + 1

    def _encode_memory_positions(self, age_index: NDArray[np.int64]) -> Tensor:
        """Return spatial plus temporal position encodings, (b, n, T, Cm)."""
        encoder = self._model.memory_encoder
        temporal = encoder.temporal_positions[self._to_device(age_index)]
        return (encoder.grid_positions + temporal[:, :, None]).to(self._dtype)

    def _bias(
        self,
        has_memory: NDArray[np.bool_],
        has_pointer: NDArray[np.bool_],
        memory_tokens: int,
        pointer_tokens: int,
    ) -> Tensor | None:
        """Return the attention bias float32 (b, 1, L), or None where all entries exist."""
        if has_memory.all() and has_pointer.all() and not self._model.has_full_context:
            return None
        # A number for each entry is copied to the device, and not one for each token.
        parts = [
            self._to_device(np.where(exists, 0, -np.inf).astype(np.float32)).repeat_interleave(
                tokens, 1
            )
            for exists, tokens in ((has_memory, memory_tokens), (has_pointer, pointer_tokens))
        ]
        return torch.cat(parts, 1)[:, None]

    def _gather(self, entries: Tensor, rows: NDArray[np.int64]) -> Tensor:
        """Return the given rows, as a view where they are the first ones in order."""
        if np.array_equal(rows, np.arange(len(rows))):
            return entries[: len(rows)]
        return entries[self._to_device(rows)]

    def _to_device(self, values: NDArray[np.int64] | NDArray[np.float32]) -> Tensor:
        return to_device(torch.from_numpy(values), self._model.device)

    def _grow(self, num_rows: int) -> None:
        """Allocate twice the rows and copy the first `num_rows`."""
        model, capacity = self._model, max(_MIN_CAPACITY, 2 * num_rows)
        num_memories = self.num_conditioning + self._num_recent_memories
        num_pointers = self.num_conditioning + self._num_recent_pointers
        memory_shape = len(model.memory_encoder.grid_positions), model.memory_dim
        memories = torch.zeros(
            capacity, num_memories, *memory_shape, dtype=self._dtype, device=model.device
        )
        pointers = torch.zeros(capacity, num_pointers, model.hidden_dim, device=model.device)
        memory_positions = np.full((capacity, num_memories), _EMPTY)
        pointer_positions = np.full((capacity, num_pointers), _EMPTY)
        num_written = np.zeros(capacity, np.int64)
        if num_rows:
            memories[:num_rows], pointers[:num_rows] = self._memories, self._pointers
            memory_positions[:num_rows] = self._memory_positions
            pointer_positions[:num_rows] = self._pointer_positions
            num_written[:num_rows] = self._num_written
        self._memories, self._pointers = memories, pointers
        self._memory_positions, self._pointer_positions = memory_positions, pointer_positions
        self._num_written = num_written


def _ages(queries: Sequence[MemoryQuery], positions: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how many frames ago each entry's frame was for its query, (b, n)."""
    now = np.array([q.position for q in queries])[:, None]
    time_sign = np.array([q.time_sign for q in queries])[:, None]
    ages: NDArray[np.int64] = (now - positions) * time_sign
    return ages
