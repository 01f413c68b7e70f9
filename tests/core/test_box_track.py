"""Boxes over time."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pvtt_flow.core import box_track

BOX = st.tuples(st.integers(0, 50), st.integers(0, 50), st.integers(51, 100), st.integers(51, 100))
BOXES = st.lists(st.none() | BOX, min_size=1, max_size=30)


@given(BOXES)
def test_absent_frames_stay_absent(boxes: list[tuple[int, ...] | None]) -> None:
    track = box_track.track_of(boxes)
    for other in (
        box_track.loosened(track, 0.1, 100, 100),
        box_track.smoothed(track, 2.0),
        box_track.normalized(track, 100, 100),
    ):
        assert np.isnan(other[:, 0]).tolist() == [box is None for box in boxes]


@given(BOXES)
def test_a_smooth_box_is_between_its_neighbors(boxes: list[tuple[int, ...] | None]) -> None:
    track = box_track.track_of(boxes)
    smooth = box_track.smoothed(track, 2.0)
    for position, box in enumerate(boxes):
        if box is not None:
            near = [b for b in boxes[max(0, position - 6) : position + 7] if b is not None]
            assert np.all(smooth[position] >= np.min(near, axis=0) - 1e-9)
            assert np.all(smooth[position] <= np.max(near, axis=0) + 1e-9)


def test_a_box_that_stands_still_does_not_move() -> None:
    still: list[tuple[int, ...] | None] = [(1, 2, 30, 40), None, (1, 2, 30, 40), (1, 2, 30, 40)]
    smooth = box_track.smoothed(box_track.track_of(still), 1.5)
    assert np.allclose(smooth[[0, 2, 3]], (1, 2, 30, 40))


def test_loose_boxes_stay_in_the_picture() -> None:
    track = box_track.track_of([(10, 20, 30, 60), (0, 0, 96, 64)])
    loose = box_track.loosened(track, 0.1, 96, 64)
    assert loose.tolist() == [[8, 16, 32, 64], [0, 0, 96, 64]]
    assert box_track.normalized(loose, 96, 64)[1].tolist() == [0, 0, 1, 1]
