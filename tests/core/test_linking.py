import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pvtt_flow.core.linking import Candidate, Linker, similarities

RED, BLUE = 0, 1


def colors(*bins: int) -> NDArray[np.float64]:
    histogram = np.zeros(512)
    histogram[list(bins)] = 1 / len(bins)
    return histogram


def at(left: float, color: int | None = RED, *, sure: bool = True) -> Candidate:
    """Square of 10 px at a place on a line."""
    histogram = None if color is None else colors(color)
    return Candidate((left, 0.0, left + 10, 10.0), histogram, sure)


def link(frames: list[list[Candidate]]) -> list[list[int | None]]:
    linker = Linker()
    return [linker.step(found) for found in frames]


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (at(0), at(0), 1.0),
        # GIoU of neighbors is 0, of squares that are 10 px apart -1/3.
        (at(0), at(10), 0.75),
        (at(0), at(20), 0.6667),
        (at(0), at(0, BLUE), 0.5),
        (at(0, None), at(10), 0.5),
    ],
)
def test_similarity(a: Candidate, b: Candidate, expected: float) -> None:
    assert similarities([a], [b]) == pytest.approx(np.array([[expected]]), abs=1e-4)
    assert similarities([b], [a]) == pytest.approx(similarities([a], [b]).T)


def test_an_object_keeps_its_number() -> None:
    """Two move to the right; their order on a frame does not count."""
    frames = [[at(0), at(40, BLUE)], [at(44, BLUE), at(4)], [at(8), at(48, BLUE)]]
    assert link(frames) == [[0, 1], [1, 0], [0, 1]]


def test_colors_tell_apart_what_crosses() -> None:
    frames = [[at(0), at(12, BLUE)], [at(12), at(0, BLUE)]]
    assert link(frames) == [[0, 1], [0, 1]]


def test_twins_are_told_apart_by_their_places() -> None:
    assert link([[at(0), at(30)], [at(32), at(2)]]) == [[0, 1], [1, 0]]


def test_one_detection_is_of_one_track() -> None:
    """The nearer one continues it; the other begins another."""
    assert link([[at(0)], [at(6), at(1)]]) == [[0], [1, 0]]


def test_an_object_that_was_away_is_the_same_again() -> None:
    assert link([[at(0)], [], [], [at(20)]]) == [[0], [], [], [0]]
    assert link([[at(0)], [], [at(0, BLUE), at(300, BLUE)]]) == [[0], [], [0, 1]]


def test_an_unsure_detection_continues_a_track_and_starts_none() -> None:
    frames = [[at(0), at(60, sure=False)], [at(2, sure=False)], [at(4)]]
    assert link(frames) == [[0, None], [0], [0]]


def test_sure_ones_come_first() -> None:
    """Byte by byte: an unsure one does not take the track of a sure one that is farther away."""
    assert link([[at(0)], [at(0, sure=False), at(5)]]) == [[0], [None, 0]]


def test_what_is_away_for_long_is_another_one() -> None:
    there, nothing = [at(0)], list[Candidate]()
    assert link([there, *[nothing] * 99, there])[-1] == [0]
    assert link([there, *[nothing] * 100, there])[-1] == [1]


def test_nothing() -> None:
    assert link([]) == []
    assert link([[], []]) == [[], []]


@given(
    st.lists(
        st.lists(
            st.builds(at, st.floats(0, 90, width=16), st.sampled_from([RED, BLUE, None])),
            max_size=4,
        ),
        max_size=5,
    )
)
def test_every_sure_detection_has_a_track_of_its_own_on_its_frame(
    frames: list[list[Candidate]],
) -> None:
    linked = link(frames)
    assert [len(tracks) for tracks in linked] == [len(found) for found in frames]
    numbers = []
    for tracks in linked:
        assert None not in tracks
        assert len(set(tracks)) == len(tracks)
        numbers += [track for track in tracks if track is not None]
    assert set(numbers) == set(range(len(set(numbers))))
