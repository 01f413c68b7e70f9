"""Memory bank: memories and object pointers of all objects, in rows of a fixed size.

Each object has a row of entries. With P conditioning frames, an object on any frame attends to
(sam2/modeling/sam2_base.py, `SAM2Base._prepare_memory_conditioned_features`):

    memories   entries 0 … P-1: conditioning frames   entries P … P+5:  6 other frames
    pointers   entries 0 … P-1: conditioning frames   entries P … P+14: 15 other frames

A memory policy chooses the other frames, by default the most recent ones. Memory use does not grow
with the length of a video. Each entry stores its frame's position; age, rank and visibility follow
from the frame that reads, so shots of different ages and directions are read in one batch.

Of more conditioning frames than `max_cond_frames_in_attn`, the closest ones are read as such, and
the rest as frames that were tracked (sam2/modeling/sam2_utils.py, `select_closest_cond_frames`).
A policy that ranks memories reads them not at all.

Rows stay packed in `[0, len(bank))`: the last row moves into a gap, so that a batch of all rows is
read without a copy. Callers name objects (owners); row numbers are private.
"""

from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pvtt_flow.models.sam2.memory_ages import ages_of, are_closest, ranks_of
from pvtt_flow.models.sam2.memory_entries import EMPTY, MemoryEntries, RowEntries
from pvtt_flow.models.sam2.memory_policy import MemoryPolicy, Remembered
from pvtt_flow.models.sam2.model import Sam2
from pvtt_flow.models.sam2.observation import UNSEEN, Observation
from pvtt_flow.models.sam2.tensors import MemoryContext, to_device


@dataclass(frozen=True, slots=True, eq=False)
class Memory:
    """Memory of one object on one frame."""

    position: int
    features: Tensor
    """(M, Cm)."""
    object_pointer: Tensor
    """(C,)."""
    seen: Observation = UNSEEN
    """Knowledge that the memory policy has of a frame that was tracked."""

    def to(self, device: torch.device) -> "Memory":
        """Return the memory on a device."""
        features, pointer = self.features.to(device), self.object_pointer.to(device)
        return Memory(self.position, features, pointer, self.seen)


@dataclass(frozen=True, slots=True, eq=False)
class SavedRow:
    """Copy of an object's row without its conditioning frames."""

    memories: RowEntries
    pointers: RowEntries
    remembered: Remembered


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

    def __init__(
        self, model: Sam2, num_conditioning: int, dtype: torch.dtype, policy: MemoryPolicy
    ) -> None:
        """Make an empty bank; `dtype` is that of the stored memories."""
        self._model = model
        self.num_conditioning = num_conditioning
        self._policy = policy
        self._dtype = dtype
        memory_shape = len(model.memory_encoder.token_positions), model.memory_dim
        self._memories = MemoryEntries(
            num_conditioning,
            policy.num_memories,
            torch.empty(memory_shape, dtype=dtype, device=model.device),
        )
        self._pointers = MemoryEntries(
            num_conditioning,
            policy.num_pointers + policy.max_anchors,
            torch.empty(model.hidden_dim, device=model.device),
        )
        self._owners: list[Hashable] = []
        """Owner of each row."""
        self._row_of: dict[Hashable, int] = {}
        self._remembered: dict[Hashable, Remembered] = {}

    def __len__(self) -> int:
        return len(self._owners)

    def add(
        self, owner: Hashable, conditioning: Sequence[Memory], others: Sequence[Memory] = ()
    ) -> None:
        """Allocate a row for an object, with its P conditioning frames and `others`, oldest first.

        Without a row if the device's memory runs out.
        """
        if len(conditioning) != self.num_conditioning:
            raise ValueError(
                f"a row must have {self.num_conditioning} conditioning frames, "
                f"got {len(conditioning)}"
            )
        row, positions = len(self), [memory.position for memory in conditioning]
        self._memories.reserve(row + 1)
        self._pointers.reserve(row + 1)
        self._memories.start(row, positions, [memory.features for memory in conditioning])
        self._pointers.start(row, positions, [memory.object_pointer for memory in conditioning])
        self._owners.append(owner)
        self._row_of[owner] = row
        self._remembered[owner] = self._policy.start
        with self._removed_if_full(owner):
            for memory in others:
                features, pointer = memory.features[None], memory.object_pointer[None]
                self.write([owner], [memory.position], features, pointer, [memory.seen])

    def add_saved(self, owner: Hashable, conditioning: Sequence[Memory], saved: SavedRow) -> None:
        """Allocate a row as `add` does, with what `save` has returned."""
        self.add(owner, conditioning)
        row = self._row_of[owner]
        with self._removed_if_full(owner):
            self._memories.set_others(row, saved.memories)
            self._pointers.set_others(row, saved.pointers)
        self._remembered[owner] = saved.remembered

    def save(self, owner: Hashable) -> SavedRow:
        """Return a copy of an object's row; entries keep their places, and so sums their order."""
        row = self._row_of[owner]
        memories, pointers = self._memories.others(row), self._pointers.others(row)
        return SavedRow(memories, pointers, self._remembered[owner])

    @contextmanager
    def _removed_if_full(self, owner: Hashable) -> Iterator[None]:
        try:
            yield
        except torch.OutOfMemoryError:
            self.remove(owner)
            raise

    def remove(self, owner: Hashable) -> None:
        """Free the row of an object."""
        row, last_owner = self._row_of.pop(owner), self._owners.pop()
        del self._remembered[owner]
        if last_owner is owner:
            return
        last = len(self)
        self._memories.move(last, row)
        self._pointers.move(last, row)
        self._owners[row] = last_owner
        self._row_of[last_owner] = row

    def write(
        self,
        owners: Sequence[Hashable],
        positions: Sequence[int],
        memories: Tensor,
        pointers: Tensor,
        seen: Sequence[Observation],
    ) -> None:
        """Write one frame for each owner: memories (b, M, Cm) and object pointers (b, C).

        Only what the policy keeps is written. If the device's memory runs out, the same frame can
        be written again.
        """
        rows = [self._row_of[owner] for owner in owners]
        new = [
            self._policy.remember(self._remembered[owner], position, each)
            for owner, position, each in zip(owners, positions, seen, strict=True)
        ]
        placed_memories = self._memories.place(rows, positions, [r.memories for r in new])
        placed_pointers = self._pointers.place(rows, positions, [r.pointers for r in new])
        to_memories = self._memories.select(placed_memories, memories)
        to_pointers = self._pointers.select(placed_pointers, pointers)
        # Most of what needs memory is done, and nothing has changed yet.
        self._memories.store(*to_memories)
        self._pointers.store(*to_pointers)
        self._memories.note(placed_memories)
        self._pointers.note(placed_pointers)
        self._remembered.update(zip(owners, new, strict=True))

    def has_one_memory(self, query: MemoryQuery) -> bool:
        """Return whether the query reads one memory; `read` takes such queries apart from others
        where the model pools memories."""
        _, has_memory = self._memory_ages([query], np.array([self._row_of[query.owner]]))
        return int(has_memory.sum()) == 1

    def read(self, queries: Sequence[MemoryQuery]) -> MemoryContext:
        """Return the memories that each query attends to, cut to the entries that any query has."""
        rows = np.array([self._row_of[q.owner] for q in queries])
        distances, has_pointer = self._pointer_distances(queries, rows)
        age_index, has_memory = self._memory_ages(queries, rows)
        is_alone = self._model.pools_memories and bool((has_memory.sum(1) == 1).all())
        num_memories = 1 if is_alone else self._num_read(has_memory)
        num_pointers = self._num_read(has_pointer)
        has_memory, has_pointer = has_memory[:, :num_memories], has_pointer[:, :num_pointers]
        memories = self._memories.gather(rows)[:, :num_memories]
        pointers = self._pointers.gather(rows)[:, :num_pointers]
        memory_encoding = self._encode_memory_positions(age_index[:, :num_memories])
        pointer_encoding = self._model.memory_encoder.encode_pointer_positions(
            self._to_device(distances[:, :num_pointers])
        )
        # SAM 2 splits a pointer of C channels into C / Cm tokens.
        pointers = pointers.unflatten(2, (-1, self._model.memory_dim)).to(memories.dtype)
        on_grid = self._model.memory_encoder.memory_side**2
        keys = _in_order(
            memories + memory_encoding, pointers + pointer_encoding[:, :, None], on_grid
        )
        return MemoryContext(
            keys=keys,
            values=_in_order(memories, pointers, on_grid),
            num_rotated=num_memories * on_grid,
            is_pooled=self._model.pools_memories and num_memories > 1,
            bias=self._bias(
                (has_memory, on_grid),
                (has_memory, memories.shape[2] - on_grid),
                (has_pointer, pointers.shape[2]),
            ),
        )

    def _memory_ages(
        self, queries: Sequence[MemoryQuery], rows: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Return indices into `temporal_positions`, and which memories exist, both (b, P + 6)."""
        positions, oldest = self._memories.positions[rows], self._policy.num_memories
        is_anchor = self._are_anchors(queries, positions)
        ages = ages_of(positions, _now(queries), _time_signs(queries))
        if self._policy.ranks_memories:
            ages = ranks_of(ages, self._are_ranked(is_anchor, positions))
        has_memory = is_anchor | ((ages >= 1) & (ages <= oldest))
        age_index = np.where(is_anchor, oldest, np.clip(ages, 1, oldest) - 1)
        return age_index, has_memory

    def _pointer_distances(
        self, queries: Sequence[MemoryQuery], rows: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Return distances divided by the longest one, and which pointers exist, (b, P + 15)."""
        positions = self._pointers.positions[rows]
        is_anchor = self._are_anchors(queries, positions)
        ages = ages_of(positions, _now(queries), _time_signs(queries))
        if self._policy.ranks_pointers:
            ranks = ranks_of(ages, self._are_ranked(is_anchor, positions))
            ages = np.where(is_anchor, ages, ranks)
        max_pointers = self._model.max_object_pointers
        longest = np.array([min(q.num_frames, max_pointers) - 1 for q in queries])
        # Pointers of conditioning frames have no age limit, but must lie in the past.
        has_pointer = (ages >= 1) & (ages <= longest[:, None]) | is_anchor & (ages >= 0)
        distances = np.where(has_pointer, ages / longest[:, None], 0).astype(np.float32)
        return distances, has_pointer

    def _are_anchors(
        self, queries: Sequence[MemoryQuery], positions: NDArray[np.int64]
    ) -> NDArray[np.bool_]:
        """Return which entries (b, n) are read as conditioning frames."""
        first, most = self.num_conditioning, self._model.max_conditioning
        are_anchors = np.zeros(positions.shape, np.bool_)
        are_anchors[:, :first] = True
        if most is not None and first > most:
            are_anchors[:, :first] = are_closest(positions[:, :first], _now(queries), most)
        if self._policy.max_anchors:
            for row, row_positions, query in zip(are_anchors, positions, queries, strict=True):
                row[first:] = np.isin(row_positions[first:], self._remembered[query.owner].anchors)
        return are_anchors

    def _are_ranked(
        self, is_anchor: NDArray[np.bool_], positions: NDArray[np.int64]
    ) -> NDArray[np.bool_]:
        """Return which entries (b, n) are frames that were tracked, and are not read as anchors."""
        are_ranked = ~is_anchor & (positions != EMPTY)
        are_ranked[:, : self.num_conditioning] = False
        return are_ranked

    def _num_read(self, exists: NDArray[np.bool_]) -> int:
        """Return how many leading entries to read to include each entry that exists (b, n)."""
        if self._model.has_full_context:
            return exists.shape[1]
        return int(np.flatnonzero(exists.any(0))[-1]) + 1

    def _encode_memory_positions(self, age_index: NDArray[np.int64]) -> Tensor:
        """Return spatial plus temporal position encodings, (b, n, M, Cm)."""
        encoder = self._model.memory_encoder
        temporal = encoder.temporal_positions[self._to_device(age_index)]
        return (encoder.token_positions + temporal[:, :, None]).to(self._dtype)

    def _bias(self, *parts: tuple[NDArray[np.bool_], int]) -> Tensor | None:
        """Return the attention bias float32 (b, 1, L), or None where all entries exist.

        Takes the parts of the keys in order: which entries exist (b, n), and their tokens.
        """
        if all(exists.all() for exists, _ in parts) and not self._model.has_full_context:
            return None
        # A number for each entry is copied to the device, and not one for each token.
        biases = [
            self._to_device(np.where(exists, 0, -np.inf).astype(np.float32)).repeat_interleave(
                tokens, 1
            )
            for exists, tokens in parts
            if tokens
        ]
        return torch.cat(biases, 1)[:, None]

    def _to_device(self, values: NDArray[np.int64] | NDArray[np.float32]) -> Tensor:
        return to_device(torch.from_numpy(values), self._model.device)


def _in_order(memories: Tensor, pointers: Tensor, on_grid: int) -> Tensor:
    """Return all tokens (b, L, Cm) of memories (b, n, M, Cm) and pointers (b, k, p, Cm).

    The first `on_grid` tokens of each memory come first, then the others, then the pointers.
    """
    parts = memories[:, :, :on_grid], memories[:, :, on_grid:], pointers
    return torch.cat([part.flatten(1, 2) for part in parts], 1)


def _now(queries: Sequence[MemoryQuery]) -> NDArray[np.int64]:
    """Return the frame that each query reads for, (b, 1)."""
    return np.array([q.position for q in queries])[:, None]


def _time_signs(queries: Sequence[MemoryQuery]) -> NDArray[np.int64]:
    """Return the direction in which each query goes, (b, 1)."""
    return np.array([q.time_sign for q in queries])[:, None]
