"""Each memory policy in the engine: batches, passes, corrections, and what is read."""

import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pvtt_flow.models import checkpoints
from pvtt_flow.models.sam2.compile import Compiler
from pvtt_flow.models.sam2.memory_bank import Memory, MemoryBank, MemoryQuery
from pvtt_flow.models.sam2.memory_policies import POLICIES
from pvtt_flow.models.sam2.memory_policy import MemoryPolicy, Remembered
from pvtt_flow.models.sam2.model import Sam2
from pvtt_flow.models.sam2.observation import Observation
from pvtt_flow.models.sam2.official import build_predictor
from pvtt_flow.models.sam2.scheduler import Scheduler
from pvtt_flow.models.tracker import MemoryRule
from tests.models.sam2.compare import compare, outputs_by_object
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
from tests.models.sam2.float32_memories import float32_memories
from tests.models.sam2.official import ObjectOutput
from tests.models.sam2.run_scheduler import Direction, run
from tests.models.sam2.seen import SQUARE, absent, seen
from tests.models.sam2.shots import OFF, ON, Shot, box, clicks, rendered, shot, square_box

RULES: Sequence[MemoryRule] = tuple(POLICIES)
OTHERS = RULES[1:]


def make_model(config: Path, compiler: Compiler | None = None) -> Sam2:
    """Make a model that keeps the masks it did not choose."""
    weights = checkpoints.embedded_file("sam2_embedded.pt")
    predictor = build_predictor(weights, config, torch.device("cpu"))
    return Sam2(predictor, compiler, keep_alternatives=True)


@pytest.fixture(scope="module")
def model(config: Path) -> Sam2:
    return make_model(config)


def track(
    model: Sam2, shots: Sequence[Shot], memory: MemoryRule, direction: Direction = "both"
) -> list[Mapping[tuple[int, int], ObjectOutput]]:
    with float32_memories():
        scheduler = Scheduler(model, 3, memory=memory)
        results = run(model, shots, direction, scheduler=scheduler)
    return [outputs_by_object(*pair) for pair in zip(shots, results, strict=True)]


def various() -> list[Shot]:
    """Make ragged shots: an object that leaves, a similar one, corrections, late objects."""
    correction = clicks(0, (34, 32, ON), (70, 50, OFF), correction=True)
    return [
        rendered(26, 24, event="leave")[0],
        shot(9, square_box(0, 4), (7, correction), (0, box(1, 50, 40, 70, 70))),
        rendered(5, 10, event="twin")[0],
        shot(2, square_box(0, 1)),
        shot(8, square_box(0, 6), (2, correction), square_box(2, 3), seed=5),
    ]


@pytest.mark.parametrize("memory", OTHERS)
def test_a_shot_beside_others_equals_the_shot_alone(model: Sam2, memory: MemoryRule) -> None:
    together = track(model, various(), memory)
    for each, outputs in zip(various(), together, strict=True):
        [alone] = track(model, [each], memory)
        compare(outputs, alone).check()


@pytest.mark.parametrize("memory", OTHERS)
def test_masks_are_equal_in_the_shapes_that_are_compiled(
    model: Sam2, config: Path, memory: MemoryRule, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "compile", lambda function, **_: function)
    compiled = make_model(config, Compiler(torch.device("cpu")))
    shots = various()[:2]
    for outputs, usual in zip(
        track(compiled, shots, memory), track(model, shots, memory), strict=True
    ):
        compare(outputs, usual).check()


@pytest.mark.parametrize("memory", OTHERS)
def test_a_policy_changes_later_frames_alone(model: Sam2, memory: MemoryRule) -> None:
    """The object leaves on the way, so that its memories differ from SAM 2's."""
    shots = [rendered(26, 24, event="leave")[0]]
    [outputs], [usual] = track(model, shots, memory), track(model, shots, "sam2")
    changes = [
        (outputs[key].logits - usual[key].logits).abs().max().item() for key in sorted(usual)
    ]
    assert changes[:2] == [0, 0]
    assert max(changes) > 1e-2


@pytest.mark.parametrize("memory", RULES)
def test_a_backward_pass_mirrors_a_forward_pass(model: Sam2, memory: MemoryRule) -> None:
    """Frames and positions in reverse give the same masks where the fifth frames are the same."""
    first, _ = rendered(26, 21, event="leave")
    prompts = first.prompts[0]
    last = Shot(first.frames[::-1], {20: prompts})
    [forward] = track(model, [first], memory, "forward")
    [backward] = track(model, [last], memory, "backward")
    compare({(o, 20 - at): output for (o, at), output in backward.items()}, forward).check()


@dataclass(eq=False)
class Track:
    """Object of a bank, and what its policy remembers of it."""

    number: int
    time_sign: int
    remembered: Remembered
    now: int = 100
    observations: list[Observation] = field(default_factory=list)

    def memory(self, frame: int) -> Memory:
        value = 1000.0 * self.number + frame
        return Memory(frame, torch.full((TOKENS, MEMORY_DIM), value), torch.full((2,), value))

    def age(self, frame: int) -> int:
        return (self.now - frame) * self.time_sign


def expected(track: Track, policy: MemoryPolicy) -> tuple[set[object], set[object]]:
    """Return (content, temporal index) of memories and (content, distance) of pointers."""
    anchors = {100 - track.time_sign, *track.remembered.anchors}
    memories = sorted(set(track.remembered.memories) - anchors, key=track.age)
    pointers = sorted(set(track.remembered.pointers) - anchors, key=track.age)
    content = 1000.0 * track.number
    steps = PARTS // (MAX_POINTERS - 1)
    by_rank = policy.ranks_memories, policy.ranks_pointers
    return (
        {(content + frame, NUM_MEMORIES - 1) for frame in anchors}
        | {
            (content + frame, rank if by_rank[0] else track.age(frame) - 1)
            for rank, frame in enumerate(memories)
            if by_rank[0] or track.age(frame) < NUM_MEMORIES
        },
        {(content + frame, steps * track.age(frame)) for frame in anchors}
        | {
            (content + frame, steps * (rank if by_rank[1] else track.age(frame)))
            for rank, frame in enumerate(pointers, 1)
            if by_rank[1] or track.age(frame) < MAX_POINTERS
        },
    )


@pytest.mark.parametrize("memory", RULES)
def test_a_bank_reads_what_its_policy_remembers(memory: MemoryRule) -> None:
    """Objects of both directions, some absent or distracted, move between banks and rows."""
    policy = POLICIES[memory](NUM_MEMORIES - 1, MAX_POINTERS - 1)
    bank, other = (MemoryBank(fake_model(), n, torch.float32, policy) for n in (1, 2))
    tracks = [Track(n, (-1) ** n, policy.start) for n in range(4)]
    for each in tracks:
        bank.add(each, [each.memory(100 - each.time_sign)])
    rng = np.random.default_rng(1)
    kinds = [seen(), seen(), seen(5.0, 0.9, SQUARE, (28, 28, 38, 38)), absent(), seen(0.1, 0.2)]
    for step in range(60):
        if step % 7 == 3:
            moved = tracks[step % 4]
            other.add_saved(moved, [moved.memory(-1), moved.memory(-2)], bank.save(moved))
            bank.remove(moved)
            bank.add_saved(moved, [moved.memory(100 - moved.time_sign)], other.save(moved))
            other.remove(moved)
        context = bank.read([MemoryQuery(t, t.now, t.time_sign, 99) for t in tracks])
        for row, each in enumerate(tracks):
            on_grid, others, pointers = contents(context, row)
            assert (set(on_grid), set(pointers)) == expected(each, policy)
            assert sorted(others) == sorted([*set(on_grid)] * (TOKENS - ON_GRID))
            assert len(on_grid) == ON_GRID * len(set(on_grid))
        observations = [kinds[kind] for kind in rng.integers(0, len(kinds), len(tracks))]
        written = [each.memory(each.now) for each in tracks]
        bank.write(
            tracks,
            [each.now for each in tracks],
            torch.stack([w.features for w in written]),
            torch.stack([w.object_pointer for w in written]),
            observations,
        )
        for each, observation in zip(tracks, observations, strict=True):
            each.remembered = policy.remember(each.remembered, each.now, observation)
            each.now += each.time_sign


@pytest.mark.slow
@pytest.mark.parametrize("memory", OTHERS)
def test_memory_does_not_grow(
    model: Sam2, memory: MemoryRule, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row has as many entries after 70 frames as after 1, and no more frames are noted."""
    sizes: list[tuple[int, int]] = []
    write = MemoryBank.write

    def measured_write(self: MemoryBank, *args: Any) -> None:
        write(self, *args)
        num_bytes = self._memories.values.nbytes + self._pointers.values.nbytes
        [remembered] = self._remembered.values()
        sizes.append((num_bytes, len(pickle.dumps(remembered))))

    monkeypatch.setattr(MemoryBank, "write", measured_write)
    track(model, [shot(72, square_box(0, 0))], memory, "forward")
    assert len(sizes) == 70
    assert len({num_bytes for num_bytes, _ in sizes}) == 1
    noted = [each for _, each in sizes]
    # Digits of positions and areas; a mask would have thousands of bytes.
    assert noted[-1] <= max(noted[20:40]) + 64 < 2000
