"""Memory bank against a plain list of all frames that were ever written."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pvtt_flow.models.sam2.memory_bank import Memory, MemoryBank, MemoryQuery
from pvtt_flow.models.sam2.memory_policy import Sam2Policy
from pvtt_flow.models.sam2.observation import UNSEEN
from tests.models.sam2.fake_model import (
    MAX_POINTERS,
    MEMORY_DIM,
    NUM_MEMORIES,
    ON_GRID,
    PARTS,
    TOKENS,
    contents,
    fake_model,
)

NUM_CONDITIONING = 2
FAR = 100


@dataclass(eq=False)
class Track:
    """Object with all frames that were written for it."""

    number: int
    time_sign: int
    num_frames: int
    now: int = FAR
    written: list[int] = field(default_factory=list)

    @property
    def conditioning(self) -> tuple[int, int]:
        """Conditioning frames: one before the start, and one that is reached later."""
        return FAR - self.time_sign, FAR + 9 * self.time_sign

    def content(self, frame: int) -> float:
        """Return a number that only this object's memory of this frame has."""
        return float(self.number * 1000 + frame)

    def memory(self, frame: int) -> Memory:
        value = self.content(frame)
        return Memory(frame, torch.full((TOKENS, MEMORY_DIM), value), torch.full((2,), value))

    def expected_memories(self) -> set[tuple[float, int]]:
        recent = {
            (self.content(frame), age - 1)
            for frame in self.written
            if 1 <= (age := (self.now - frame) * self.time_sign) < NUM_MEMORIES
        }
        return recent | {(self.content(frame), NUM_MEMORIES - 1) for frame in self.conditioning}

    def expected_pointers(self) -> set[tuple[float, int]]:
        longest = min(self.num_frames, MAX_POINTERS) - 1
        recent = {
            (self.content(frame), age * PARTS // longest)
            for frame in self.written
            if 1 <= (age := (self.now - frame) * self.time_sign) <= longest
        }
        return recent | {
            (self.content(frame), age * PARTS // longest)
            for frame in self.conditioning
            if (age := (self.now - frame) * self.time_sign) >= 0
        }


def make_bank(num_conditioning: int = NUM_CONDITIONING) -> MemoryBank:
    policy = Sam2Policy(NUM_MEMORIES - 1, MAX_POINTERS - 1)
    return MemoryBank(fake_model(), num_conditioning, torch.float32, policy)


class BankAndTracks:
    """Bank, and the tracks that it must hold."""

    def __init__(self) -> None:
        self.bank = make_bank()
        self.tracks: list[Track] = []
        self._numbers = 0

    def add(self, time_sign: int, num_frames: int) -> None:
        self._numbers += 1
        track = Track(self._numbers, time_sign, num_frames)
        self.bank.add(track, [track.memory(frame) for frame in track.conditioning])
        self.tracks.append(track)

    def remove(self, index: int) -> None:
        if self.tracks:
            self.bank.remove(self.tracks.pop(index % len(self.tracks)))

    def migrate(self, index: int) -> None:
        """Move a track to another row with its memories, by way of another bank."""
        if not self.tracks:
            return
        track = self.tracks[index % len(self.tracks)]
        other = make_bank(num_conditioning=3)
        conditioning = [track.memory(-frame) for frame in (7, 8, 9)]
        other.add_saved(track, conditioning, self.bank.save(track))
        self.bank.remove(track)
        conditioning = [track.memory(frame) for frame in track.conditioning]
        self.bank.add_saved(track, conditioning, other.save(track))

    def advance(self, which: int) -> None:
        """Advance some tracks by one frame; on conditioning frames nothing is written."""
        moving = [t for i, t in enumerate(self.tracks) if which >> i % 8 & 1]
        writing = [t for t in moving if t.now not in t.conditioning]
        if writing:
            memories = [t.memory(t.now) for t in writing]
            features = torch.stack([m.features for m in memories])
            pointers = torch.stack([m.object_pointer for m in memories])
            seen = [UNSEEN] * len(writing)
            self.bank.write(writing, [t.now for t in writing], features, pointers, seen)
        for track in writing:
            track.written.append(track.now)
        for track in moving:
            track.now += track.time_sign

    def check(self, which: int) -> None:
        """Check what some tracks read, in ascending or descending order."""
        tracks = [t for i, t in enumerate(self.tracks) if which >> i % 8 & 1]
        tracks = tracks[::-1] if which & 1 else tracks
        if not tracks:
            return
        queries = [MemoryQuery(t, t.now, t.time_sign, t.num_frames) for t in tracks]
        context = self.bank.read(queries)
        for row, track in enumerate(tracks):
            on_grid, others, pointers = contents(context, row)
            expected = track.expected_memories()
            assert sorted(on_grid) == sorted([*expected] * ON_GRID)
            assert sorted(others) == sorted([*expected] * (TOKENS - ON_GRID))
            assert sorted(pointers) == sorted(track.expected_pointers())


ADD = st.tuples(st.just("add"), st.sampled_from([1, -1]), st.sampled_from([2, 3, 9, 16, 99]))
REMOVE_OR_MIGRATE = st.tuples(st.sampled_from(["remove", "migrate"]), st.integers(0, 9))
ADVANCE = st.tuples(st.just("advance"), st.integers(0, 255))


@settings(max_examples=60, derandomize=True)
@given(
    actions=st.lists(ADD | REMOVE_OR_MIGRATE | ADVANCE | ADVANCE | ADVANCE, max_size=60),
    which=st.integers(1, 255),
)
def test_each_object_reads_the_memories_of_the_official_predictor(
    actions: Sequence[tuple[Any, ...]], which: int
) -> None:
    bank_and_tracks = BankAndTracks()
    bank_and_tracks.add(1, 99)
    for name, *arguments in actions:
        getattr(bank_and_tracks, name)(*arguments)
        bank_and_tracks.check(which)
        bank_and_tracks.check(255)
    assert len(bank_and_tracks.bank) == len(bank_and_tracks.tracks)


@pytest.mark.parametrize("time_sign", [1, -1])
def test_a_long_track(time_sign: int) -> None:
    bank_and_tracks = BankAndTracks()
    bank_and_tracks.add(time_sign, 99)
    for _ in range(40):
        bank_and_tracks.check(255)
        bank_and_tracks.advance(255)


def test_the_bank_grows() -> None:
    bank_and_tracks = BankAndTracks()
    for _ in range(20):
        bank_and_tracks.add(1, 30)
        bank_and_tracks.advance(255)
    bank_and_tracks.check(255)
    for i in range(19):
        bank_and_tracks.remove(7 * i)
        bank_and_tracks.check(255)


def test_a_row_must_have_its_number_of_conditioning_frames() -> None:
    bank = make_bank()
    with pytest.raises(ValueError, match="must have 2 conditioning frames, got 1"):
        bank.add("a", [Track(1, 1, 9).memory(0)])
