"""Re-timing by pts: the nearest frame at each output time, and no frame twice."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pvtt_flow.core.retiming import Positions, retime, runs_at, windows_at

MS = 1_000_000


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
        # The second output time is nearer to a frame that was shown already.
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


def test_a_slower_source_is_not_filled_up() -> None:
    # At 12 fps half of all times of 24 fps have no frame.
    assert max(map(len, runs_at(times(12, 100), 24))) == 1
    # 15 frames cannot be 16: the run ends where the frames lag by half a period.
    assert len(retime(times(15, 300), 16)) == 8


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
    gaps_ms=st.lists(st.integers(1, 300), max_size=60),
    fps=st.sampled_from([None, 8.0, 12.0, 16.0, 24.69]),
    num_frames=st.integers(1, 12),
)
def test_windows_are_what_re_timing_from_their_first_frame_gives(
    gaps_ms: list[int], fps: float | None, num_frames: int
) -> None:
    pts_ns = np.cumsum([0, *gaps_ms]).astype(np.int64) * MS
    found = windows_at(pts_ns, fps, num_frames, np.arange(len(pts_ns))).tolist()
    tails = [(start + retime(pts_ns[start:], fps)).tolist() for start in range(len(pts_ns))]
    assert found == [tail[:num_frames] for tail in tails if len(tail) >= num_frames]
