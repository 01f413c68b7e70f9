"""Logistic models of a few numbers."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pvtt_flow.core.logistic import MAX_DEVIATIONS, Logistic, Term

MODEL = Logistic(-1.0, {"a": Term(mean=2, deviation=0.5, weight=3), "b": Term(0, 1, -1)})


def test_the_probability_is_of_the_weighted_deviations() -> None:
    found = MODEL.probability({"a": 2.25, "b": 1.0, "unused": 9.0})
    assert found == pytest.approx(1 / (1 + math.exp(1 - 1.5 + 1)))


@pytest.mark.parametrize("unknown", [None, math.nan])
def test_an_unknown_number_counts_as_the_mean(unknown: float | None) -> None:
    assert MODEL.probability({"a": unknown, "b": 0.5}) == MODEL.probability({"a": 2, "b": 0.5})


def test_a_missing_number_is_an_error() -> None:
    with pytest.raises(KeyError, match="b"):
        MODEL.probability({"a": 2})


@given(st.floats(allow_nan=False))
def test_strange_numbers_count_as_the_strangest_known(value: float) -> None:
    furthest = 2 + math.copysign(MAX_DEVIATIONS * 0.5, value - 2)
    bounds = sorted(MODEL.probability({"a": a, "b": 0}) for a in (2, furthest))
    assert bounds[0] <= MODEL.probability({"a": value, "b": 0}) <= bounds[1]
