from itertools import pairwise

import pytest
from hypothesis import given as all_of
from hypothesis import strategies as st

from pvtt_flow.core.shots import ShotParams, clip_intervals, partition, shots_of
from pvtt_flow.core.timeline import NS_PER_S
from pvtt_flow.errors import DataError

MS = 1_000_000
FRAME_NS = 40 * MS


def times(num_frames: int) -> tuple[int, ...]:
    return tuple(i * FRAME_NS for i in range(num_frames))


def cut_up(num_frames: int, *cuts: int, **params: object) -> list[tuple[int, int]]:
    every = times(num_frames)
    return partition(cuts, every, num_frames * FRAME_NS, ShotParams.model_validate(params))


@pytest.mark.parametrize(
    ("cuts", "params", "shots"),
    [
        ((), {}, [(0, 100)]),
        ((30, 60), {}, [(0, 30), (30, 60), (60, 100)]),
        ((60, 30, 30, 0, 100), {}, [(0, 30), (30, 60), (60, 100)]),
        # Of cuts in a row the last one counts, since a shot must begin with its own picture.
        ((30, 33, 36), {}, [(0, 36), (36, 100)]),
        ((95,), {}, [(0, 100)]),
        # Nothing is before a short first one.
        ((3, 50), {}, [(0, 3), (3, 50), (50, 100)]),
        ((3, 7), {"min_length_s": 0.0}, [(0, 3), (3, 7), (7, 100)]),
        ((), {"max_length_s": 2.0}, [(0, 50), (50, 100)]),
        ((), {"max_length_s": 4.0}, [(0, 100)]),
        ((40,), {"max_length_s": 1.2}, [(0, 20), (20, 40), (40, 70), (70, 100)]),
    ],
)  # fmt: skip
def test_where_shots_begin(
    cuts: tuple[int, ...], params: dict[str, object], shots: list[tuple[int, int]]
) -> None:
    assert cut_up(100, *cuts, **params) == shots


TIMES = st.lists(st.integers(1, 500), min_size=1, max_size=60)
"""Duration of each frame, in milliseconds."""


@all_of(
    TIMES,
    st.lists(st.integers(-5, 70)),
    st.floats(0, 3),
    st.one_of(st.none(), st.floats(0.01, 20)),
)
def test_shots_are_a_partition(
    lasts_ms: list[int], cuts: list[int], min_s: float, max_s: float | None
) -> None:
    edges_ns = [sum(lasts_ms[:i]) * MS for i in range(len(lasts_ms) + 1)]
    max_s = max_s and 2 * min_s + max_s
    params = ShotParams(min_length_s=min_s, max_length_s=max_s)
    shots = partition(cuts, edges_ns[:-1], edges_ns[-1], params)
    assert (shots[0][0], shots[-1][1]) == (0, len(lasts_ms))
    assert all(stop == start for (_, stop), (start, _) in pairwise(shots))
    assert all(start < stop for start, stop in shots)
    lengths_s = [(edges_ns[stop] - edges_ns[start]) / NS_PER_S for start, stop in shots]
    longest_frame_s = max(lasts_ms) / 1000
    if max_s is None:
        assert all(length_s >= min_s for length_s in lengths_s[1:])
        assert {start for start, _ in shots} <= {0, *cuts}
    else:
        assert all(length_s <= max_s + longest_frame_s for length_s in lengths_s)


@all_of(st.lists(st.integers(-(10**12), 10**12), min_size=1, max_size=40), st.lists(st.integers()))
def test_times_may_be_anything(times_ns: list[int], cuts: list[int]) -> None:
    shots = partition(cuts, times_ns, times_ns[-1] + 1, ShotParams(max_length_s=1.0))
    assert [i for start, stop in shots for i in range(start, stop)] == [*range(len(times_ns))]


def test_a_shot_ends_when_the_next_begins() -> None:
    every, end_ns = times(10), 10 * FRAME_NS
    first, second, apart = shots_of("mug", [(0, 4), (4, 7), (8, 10)], every, end_ns)
    assert (first.shot_id, second.shot_id) == ("mug/s0000@0", "mug/s0001@4")
    assert (first.start_ns, first.stop_ns) == (0, second.start_ns)
    assert (second.stop_ns, apart.start_ns) == (7 * FRAME_NS, 8 * FRAME_NS)
    assert apart.stop_ns == end_ns
    assert first.times_ns + second.times_ns + every[7:8] + apart.times_ns == every


def test_given_intervals_must_fit_a_video_that_is_whole() -> None:
    assert clip_intervals([(2, 5), (7, 10)], 10, is_truncated=False) == [(2, 5), (7, 10)]
    with pytest.raises(DataError, match=r"which has 9 frames, got \[7, 10\]") as caught:
        clip_intervals([(2, 5), (7, 10)], 9, is_truncated=False)
    assert caught.value.kind == "bad_shot"


def test_a_broken_video_gives_what_it_has_of_them() -> None:
    assert clip_intervals([(2, 5), (7, 10)], 8, is_truncated=True) == [(2, 5), (7, 8)]
    assert clip_intervals([(2, 5), (7, 10)], 7, is_truncated=True) == [(2, 5)]
    assert clip_intervals([(2, 5)], 2, is_truncated=True) == []
