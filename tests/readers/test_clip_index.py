"""Frames of each clip."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pvtt_flow.readers.clip_index import Windows

some = st.integers(1, 9)


@given(length=st.integers(0, 60), num_frames=some, stride=some, hop=st.none() | some)
def test_clips_lie_inside_and_as_many_as_fit(
    length: int, num_frames: int, stride: int, hop: int | None
) -> None:
    windows = Windows(num_frames=num_frames, stride=stride, hop=hop)
    count = int(windows.count(np.array([length]))[0])
    clips = [list(windows.positions(length, number)) for number in range(count)]
    for number, positions in enumerate(clips):
        first = number * (hop or num_frames * stride)
        assert positions == [first + i * stride for i in range(num_frames)]
        assert positions[-1] < length
    # One more would reach past the end.
    assert list(windows.positions(length, count))[-1] >= length


def test_whole_masklets() -> None:
    windows = Windows(stride=3)
    assert windows.count(np.array([0, 1, 7])).tolist() == [0, 1, 1]
    assert list(windows.positions(7, 0)) == [0, 3, 6]


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"num_frames": 0}, "num_frames must be at least 1, got 0"),
        ({"stride": 0}, "stride must be at least 1, got 0"),
        ({"num_frames": 2, "hop": -1}, "hop must be at least 1, got -1"),
        ({"hop": 2}, "hop must be None if num_frames is None, since each masklet is one clip"),
    ],
)
def test_settings_that_make_no_clips_are_refused(values: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=f"^{complaint}$"):
        Windows(**values)
