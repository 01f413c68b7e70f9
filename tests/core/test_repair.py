import pytest
from hypothesis import given
from hypothesis import strategies as st

from pvtt_flow.core.repair import RepairParams, Run, best_match, doubtful_runs

PARAMS = RepairParams()


def runs_of(doubt: list[float], *given_places: int) -> list[tuple[int, int]]:
    return [(run.start, run.stop) for run in doubtful_runs(doubt, given_places, PARAMS)]


def test_doubt_must_last() -> None:
    assert runs_of([0, 0, 1, 0, 0, 0]) == []
    assert runs_of([0, 0, 1, 1, 1, 0, 0]) == [(2, 5)]
    # The doubt of a frame is a mean with its neighbors: one good frame between does not end it.
    assert runs_of([0, 0, 1, 1, 0, 1, 1, 0, 0]) == [(2, 7)]


def test_the_most_doubtful_run_comes_first() -> None:
    assert runs_of([1, 1, 1, 0, 0, 0, 1, 1, 1, 1, 1]) == [(6, 11), (0, 3)]
    assert runs_of([1.0] * 4 + [0.0] * 3 + [0.7] * 5) == [(0, 4), (8, 12)]


def test_prompted_frames_are_in_no_run() -> None:
    assert runs_of([1.0] * 9, 0) == [(1, 9)]
    assert runs_of([1.0] * 9, 3) == [(4, 9), (0, 3)]


@given(st.lists(st.floats(0, 1), max_size=40), st.sets(st.integers(0, 39)))
def test_runs_are_apart_and_long_enough(doubt: list[float], given_places: set[int]) -> None:
    fixed = {place for place in given_places if place < len(doubt)}
    runs: list[Run] = doubtful_runs(doubt, fixed, PARAMS)
    places = [place for run in runs for place in range(run.start, run.stop)]
    assert len(places) == len(set(places))
    assert not fixed & set(places)
    assert all(run.start >= 0 and run.stop <= len(doubt) for run in runs)
    assert all(run.stop - run.start >= PARAMS.min_frames for run in runs)


@pytest.mark.parametrize(
    ("similarities", "expected"),
    [
        ([], None),
        ([0.8], 0),
        ([0.4], None),
        ([0.3, 0.9, 0.7], 1),
        # Twins.
        ([0.9, 0.85], None),
    ],
)
def test_the_product_that_is_like_the_object(
    similarities: list[float], expected: int | None
) -> None:
    assert best_match(similarities, PARAMS) == expected
