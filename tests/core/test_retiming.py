"""Re-timing by pts: the nearest frame at each output time that was not shown before."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pvtt_flow.core.retiming import Positions, retime, runs_at, windows_at
from pvtt_flow.core.timeline import SamplingParams, sample

MS = 1_000_000
RATES = (8.0, 12.0, 16.0, 24.0, 24.69)


def times(fps: float, count: int) -> Positions:
    return np.asarray(np.rint(np.arange(count) * 1e9 / fps), np.int64)


@pytest.mark.parametrize(
    ("source_fps", "fps", "expected"),
    [
        (24, 16, [0, 1, 3, 4, 6, 7]),  # 62.5 ms is as near to frame 1 as to frame 2
        (30, 16, [0, 2, 4, 6, 7]),  # 250 ms is as near to frame 7 as to frame 8
        (32, 16, [0, 2, 4, 6, 8]),
        (16, 16, list(range(9))),
        (24, None, list(range(9))),
        (8, 16, [0]),
    ],
)
def test_frames_at_a_rate(source_fps: float, fps: float | None, expected: list[int]) -> None:
    assert retime(times(source_fps, 9), fps).tolist()[: len(expected)] == expected


def test_a_rounded_clock_changes_nothing() -> None:
    exact = times(30000 / 1001, 300)
    rounded = np.rint(exact / MS).astype(np.int64) * MS
    assert retime(rounded, 16).tolist() == retime(exact, 16).tolist()
    assert len(retime(exact, 30000 / 1001)) == 300


@pytest.mark.parametrize(
    ("source_fps", "fps", "length"),
    [
        (12, 24, 1),  # half of all output times have no frame
        (12, 16, 3),  # each frame is a third of a period later than the one before
        (15, 16, 15),  # one frame is missing each second
        (15.9, 16, 157),  # 156 / 159 of a period is 61.3 ms, one more frame would be 61.7 ms late
    ],
)
def test_a_slower_source_is_not_filled_up(source_fps: float, fps: float, length: int) -> None:
    runs = [len(run) for run in runs_at(times(source_fps, 10 * length), fps)]
    assert runs == [length] * 10


def test_a_frame_comes_before_the_next_output_time() -> None:
    for late_ms, count in ((61, 5), (62, 3)):
        gap = np.array([0, 0, 0, late_ms, late_ms]) * MS
        assert len(retime(times(16, 5) + gap, 16)) == count


def test_a_burst_is_not_taken_frame_by_frame() -> None:
    burst = np.arange(6) * MS
    assert [run.tolist() for run in runs_at(burst, 8)] == [[0], [1], [2], [3], [4], [5]]
    # An earlier frame is taken if it is less than half a period early.
    assert retime(np.array([0, 1, 63]) * MS, 8).tolist() == [0, 2]
    assert retime(np.array([0, 1, 62]) * MS, 8).tolist() == [0]


def test_a_gap_ends_a_run_and_the_next_one_begins_behind_it() -> None:
    pts_ns = np.concatenate([times(16, 20), times(16, 50) + 60_000 * 10**9])
    assert [len(run) for run in runs_at(pts_ns, 16)] == [20, 50]
    assert runs_at(pts_ns, 16)[1].tolist() == list(range(20, 70))
    assert retime(pts_ns, 16).tolist() == list(range(20))
    assert windows_at(pts_ns, 16, 30, np.arange(70))[:, 0].tolist() == list(range(20, 41))


def test_no_frames() -> None:
    nothing = np.zeros(0, np.int64)
    assert runs_at(nothing, 16) == []
    assert retime(nothing, None).tolist() == []


@given(
    fps=st.sampled_from(RATES),
    faster=st.one_of(st.just(1.0), st.floats(1, 8)),
    count=st.integers(1, 200),
    unit_ns=st.sampled_from([1, MS]),
)
def test_sampled_frames_of_a_constant_rate_are_all_taken(
    fps: float, faster: float, count: int, unit_ns: int
) -> None:
    pts_ns = times(fps * faster, count)
    sampled = sampled_at(fps, np.rint(pts_ns / unit_ns).astype(np.int64) * unit_ns)
    assert retime(sampled, fps).tolist() == list(range(len(sampled)))


def test_sampling_by_a_rounded_clock_skips_no_grid_time() -> None:
    # At 24.883 fps. 80 ms is 1.0045 ms before its grid time, and 121 ms 0.5.
    pts_ns = np.array([0, 40, 80, 121]) * MS
    assert sampled_at(24.69, pts_ns).tolist() == pts_ns.tolist()


@given(
    fps=st.sampled_from(RATES),
    shorter_ms=st.floats(0, 1.5),
    first_ms=st.floats(0, 1),
    data=st.data(),
)
def test_a_rounded_clock_a_little_faster_than_the_rate(
    fps: float, shorter_ms: float, first_ms: float, data: st.DataObject
) -> None:
    # Early frames drift over the bound one by one, where rounding moves them to and fro.
    count = data.draw(st.integers(1, 200))
    exact_ms = first_ms + np.arange(count) * (1000 / fps - shorter_ms)
    sampled = sampled_at(fps, np.rint(exact_ms).astype(np.int64) * MS)
    assert retime(sampled, fps).tolist() == list(range(len(sampled)))


@given(fps=st.sampled_from(RATES), data=st.data())
def test_sampled_frames_of_a_variable_rate_are_all_taken(fps: float, data: st.DataObject) -> None:
    # No two frames are farther apart than a period: there is one for each output time.
    gaps_ms = data.draw(st.lists(st.integers(1, int(1000 / fps)), max_size=100))
    sampled = sampled_at(fps, np.cumsum([0, *gaps_ms]).astype(np.int64) * MS)
    assert retime(sampled, fps).tolist() == list(range(len(sampled)))


def sampled_at(fps: float, pts_ns: Positions) -> Positions:
    params = SamplingParams(target_fps=fps)
    return np.array(list(sample(pts_ns.tolist(), params, pts_ns=lambda time_ns: time_ns)))


gaps_of = st.lists(st.integers(1, 300), max_size=60)


@given(gaps_ms=gaps_of, fps=st.sampled_from(RATES))
def test_each_frame_is_the_nearest_one_after_the_last_one_shown(
    gaps_ms: list[int], fps: float
) -> None:
    pts_ns = np.cumsum([0, *gaps_ms]).astype(np.int64) * MS
    period_ns = 1e9 / fps
    next_start = 0
    for run in runs_at(pts_ns, fps):
        assert run[0] == next_start
        next_start = run[-1] + 1
        for number in range(1, len(run) + 1):
            time_ns = pts_ns[run[0]] + round(number * period_ns)
            after = range(run[number - 1] + 1, len(pts_ns))
            nearest = min(after, key=lambda at: abs(pts_ns[at] - time_ns), default=None)
            late_ns = np.inf if nearest is None else pts_ns[nearest] - time_ns
            is_real = -period_ns / 2 < late_ns < period_ns - MS
            assert is_real == (number < len(run))
            assert not is_real or run[number] == nearest
    assert next_start == len(pts_ns)


@given(
    gaps_ms=gaps_of,
    fps=st.sampled_from([None, *RATES]),
    num_frames=st.integers(1, 12),
)
def test_windows_are_what_re_timing_from_their_first_frame_gives(
    gaps_ms: list[int], fps: float | None, num_frames: int
) -> None:
    pts_ns = np.cumsum([0, *gaps_ms]).astype(np.int64) * MS
    found = windows_at(pts_ns, fps, num_frames, np.arange(len(pts_ns))).tolist()
    tails = [(start + retime(pts_ns[start:], fps)).tolist() for start in range(len(pts_ns))]
    assert found == [tail[:num_frames] for tail in tails if len(tail) >= num_frames]


@given(gaps_ms=gaps_of, fps=st.sampled_from([None, *RATES]))
def test_runs_begin_with_the_windows_of_their_first_frames(
    gaps_ms: list[int], fps: float | None
) -> None:
    pts_ns = np.cumsum([0, *gaps_ms]).astype(np.int64) * MS
    for run in runs_at(pts_ns, fps):
        for num_frames in {1, (len(run) + 1) // 2, len(run)}:
            (window,) = windows_at(pts_ns, fps, num_frames, run[:1])
            assert window.tolist() == run[:num_frames].tolist()
        assert len(windows_at(pts_ns, fps, len(run) + 1, run[:1])) == 0
