"""The memory bank against a plain list of everything that was ever written."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from pvtt_flow.models.sam2.memory_bank import Bank, Memory, Reader

NUM_PROMPTED = 2
NUM_MEMORIES, MAX_POINTERS = 7, 16
TOKENS, MEMORY_DIM = 3, 2
FAR = 100
# Every share of a longest distance (1, 2, 8 or 15) is a whole number of these parts of it.
PARTS = 120


def stub() -> Any:
    """A model whose positions say which age or distance they stand for."""
    ages = torch.arange(NUM_MEMORIES).float()[:, None].expand(-1, MEMORY_DIM)
    memory = SimpleNamespace(
        places=torch.zeros(TOKENS, MEMORY_DIM),
        ages=ages,
        pointer_positions=lambda shares: (PARTS * shares).round()[..., None].expand(-1, -1, 2),
    )
    return SimpleNamespace(
        memory=memory,
        num_memories=NUM_MEMORIES,
        max_pointers=MAX_POINTERS,
        memory_dim=MEMORY_DIM,
        dim=MEMORY_DIM,
        device=torch.device("cpu"),
        fixed_shapes=False,
    )


@dataclass(eq=False)
class Track:
    """An object, and all that it has ever seen."""

    number: int
    step: int
    num_frames: int
    now: int = FAR
    written: list[int] = field(default_factory=list)

    @property
    def prompted(self) -> tuple[int, int]:
        """Where it starts, and a frame that it comes to later."""
        return FAR - self.step, FAR + 9 * self.step

    def content(self, frame: int) -> float:
        """Tells this object's memory of that frame from all others."""
        return float(self.number * 1000 + frame)

    def memory(self, frame: int) -> Memory:
        value = self.content(frame)
        return Memory(frame, torch.full((TOKENS, MEMORY_DIM), value), torch.full((2,), value))

    def memories_due(self) -> set[tuple[float, int]]:
        recent = {
            (self.content(frame), age - 1)
            for frame in self.written
            if 1 <= (age := (self.now - frame) * self.step) < NUM_MEMORIES
        }
        return recent | {(self.content(frame), NUM_MEMORIES - 1) for frame in self.prompted}

    def pointers_due(self) -> set[tuple[float, int]]:
        longest = min(self.num_frames, MAX_POINTERS) - 1
        recent = {
            (self.content(frame), age * PARTS // longest)
            for frame in self.written
            if 1 <= (age := (self.now - frame) * self.step) <= longest
        }
        return recent | {
            (self.content(frame), age * PARTS // longest)
            for frame in self.prompted
            if (age := (self.now - frame) * self.step) >= 0
        }


class Both:
    """A bank, and the tracks that it should know."""

    def __init__(self) -> None:
        self.bank = Bank(stub(), NUM_PROMPTED, torch.float32)
        self.tracks: list[Track] = []
        self._numbers = 0

    def add(self, step: int, num_frames: int) -> None:
        self._numbers += 1
        track = Track(self._numbers, step, num_frames)
        self.bank.add(track, [track.memory(frame) for frame in track.prompted])
        self.tracks.append(track)

    def remove(self, at: int) -> None:
        if self.tracks:
            self.bank.remove(self.tracks.pop(at % len(self.tracks)))

    def move(self, at: int) -> None:
        """Out of its row and into another, with what it remembers."""
        if not self.tracks:
            return
        track = self.tracks[at % len(self.tracks)]
        recent = self.bank.recent(track)
        self.bank.remove(track)
        self.bank.add(track, [track.memory(frame) for frame in track.prompted])
        for memory in recent:
            self.bank.write([track], [memory.frame], memory.features[None], memory.pointer[None])

    def advance(self, which: int) -> None:
        """One more frame for some of the tracks; on their prompted frames nothing is written."""
        moving = [t for i, t in enumerate(self.tracks) if which >> i % 8 & 1]
        writing = [t for t in moving if t.now not in t.prompted]
        if writing:
            memories = [t.memory(t.now) for t in writing]
            features = torch.stack([m.features for m in memories])
            pointers = torch.stack([m.pointer for m in memories])
            self.bank.write(writing, [t.now for t in writing], features, pointers)
        for track in writing:
            track.written.append(track.now)
        for track in moving:
            track.now += track.step

    def check(self, which: int) -> None:
        """Some of the tracks read, the last first or the first first."""
        readers = [t for i, t in enumerate(self.tracks) if which >> i % 8 & 1]
        readers = readers[::-1] if which & 1 else readers
        if not readers:
            return
        past = self.bank.read([Reader(t, t.now, t.step, t.num_frames) for t in readers])
        hidden = torch.zeros(len(readers), past.keys.shape[1])
        seen = (hidden if past.bias is None else past.bias[:, 0]) == 0
        for i, track in enumerate(readers):
            cut = past.num_rotated
            memories = _pairs(past.keys[i, :cut], past.values[i, :cut], seen[i, :cut])
            pointers = _pairs(past.keys[i, cut:], past.values[i, cut:], seen[i, cut:])
            assert sorted(memories) == sorted([*track.memories_due()] * TOKENS)
            assert sorted(pointers) == sorted(track.pointers_due())


def _pairs(keys: Tensor, values: Tensor, seen: Tensor) -> list[tuple[float, float]]:
    """What is read, and at which age or distance."""
    ages = (keys - values)[seen, 0].tolist()
    return list(zip(values[seen, 0].tolist(), ages, strict=True))


ADD = st.tuples(st.just("add"), st.sampled_from([1, -1]), st.sampled_from([2, 3, 9, 16, 99]))
ONE = st.tuples(st.sampled_from(["remove", "move"]), st.integers(0, 9))
ADVANCE = st.tuples(st.just("advance"), st.integers(0, 255))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    actions=st.lists(ADD | ONE | ADVANCE | ADVANCE | ADVANCE, max_size=60),
    which=st.integers(1, 255),
)
def test_every_object_reads_what_the_official_predictor_would(
    actions: Sequence[tuple[Any, ...]], which: int
) -> None:
    both = Both()
    both.add(1, 99)
    for name, *arguments in actions:
        getattr(both, name)(*arguments)
        both.check(which)
        both.check(255)
    assert len(both.bank) == len(both.tracks)


@pytest.mark.parametrize("step", [1, -1])
def test_a_long_track(step: int) -> None:
    both = Both()
    both.add(step, 99)
    for _ in range(40):
        both.check(255)
        both.advance(255)


def test_many_objects_find_room() -> None:
    both = Both()
    for _ in range(20):
        both.add(1, 30)
        both.advance(255)
    both.check(255)
    for at in range(19):
        both.remove(7 * at)
        both.check(255)


def test_a_row_has_its_number_of_prompted_frames() -> None:
    bank = Bank(stub(), NUM_PROMPTED, torch.float32)
    with pytest.raises(ValueError, match="must have 2 prompted frames, got 1"):
        bank.add("a", [Track(1, 1, 9).memory(0)])
