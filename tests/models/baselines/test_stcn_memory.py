"""Memory of STCN: who reads which frames, and which frames are forgotten."""

import torch

from pvtt_flow.models.baselines.stcn_memory import (
    MemoryFrame,
    StcnMemory,
    StcnSettings,
    read_memory,
    thinned,
)


def frame(key: float, *values: float, is_given: bool = False) -> MemoryFrame:
    """Return a frame of one place, with a key and values of one channel."""
    return MemoryFrame(
        torch.tensor([[float(key)]]),
        torch.tensor(values, dtype=torch.float32).view(-1, 1, 1),
        is_given=is_given,
    )


def test_objects_read_frames_since_they_entered() -> None:
    frames = [frame(0, 10), frame(5, 20, 70), frame(9, 30, 80)]
    query = torch.zeros(1, 1, 1, 1)
    assert read_memory(frames, query, 1).flatten().tolist() == [10, 70]
    assert read_memory(frames, query + 9, 1).flatten().tolist() == [30, 80]
    # Similarities are -key^2 here, so that weights of others vanish.
    assert read_memory(frames, query, 3).flatten().tolist() == [10, 70]


def test_each_second_frame_without_a_given_mask_is_forgotten() -> None:
    frames = [frame(k, 1, is_given=k in {0, 3}) for k in range(7)]
    assert [int(f.key) for f in thinned(frames)] == [0, 1, 3, 4, 6]


def remembered(settings: StcnSettings, frames: int, given: set[int]) -> list[list[int]]:
    """Return the frames that are in the memory after each frame."""
    memory = StcnMemory(settings)
    found = []
    for position in range(frames):
        if memory.wants_next(is_given=position in given):
            memory.add(frame(position, 1, is_given=position in given))
        found.append([int(f.key) for f in memory.frames])
    return found


def test_distance_counts_from_the_last_given_mask() -> None:
    assert remembered(StcnSettings(mem_every=3), 9, {0, 4})[-1] == [0, 3, 4, 7]


def test_last_frame_is_replaced() -> None:
    settings = StcnSettings(mem_every=3, include_last=True)
    assert remembered(settings, 5, {0}) == [[0], [0, 1], [0, 2], [0, 3], [0, 3, 4]]


def test_full_memory_is_thinned_and_grows_half_as_fast() -> None:
    found = remembered(StcnSettings(mem_every=1, max_frames=4), 16, {0})
    assert found[4] == [0, 1, 2, 3, 4]
    assert found[5] == found[6] == [0, 1, 3, 5]
    assert found[8] == [0, 1, 3, 5, 7]
    assert found[9] == found[12] == [0, 1, 5, 9]
    assert max(map(len, found)) == 5
