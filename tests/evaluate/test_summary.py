"""Numbers of objects and sets."""

import math

import numpy as np
import pytest

from pvtt_flow.evaluate.counts import Counts
from pvtt_flow.evaluate.scores import ObjectScores, SequenceScores
from pvtt_flow.evaluate.summary import object_row, set_row


def scores(sequence: str, number: int, j: list[float], f: list[float]) -> ObjectScores:
    counts = Counts(len(j), 1, 0, 0, 0)
    return ObjectScores(sequence, number, ("m",), np.array(j), np.array(f), np.array(j), counts)


def test_an_object() -> None:
    row = object_row(scores("a", 1, [1.0, 0.5], [0.5, 0.5]))
    assert row["jf"] == pytest.approx((0.75 + 0.5) / 2)
    assert (row["j_recall"], row["f_recall"], row["frames"]) == (0.5, 0.0, 2)


def test_a_set_is_the_mean_of_its_objects() -> None:
    # Not of its sequences, and not of its frames.
    one = SequenceScores("a", "object_id", (scores("a", 1, [1.0] * 9, [1.0] * 9),), 0)
    two = (scores("b", 1, [0.2], [0.4]), scores("b", 2, [0.4], [0.2]), scores("b", 3, [], []))
    row = set_row([one, SequenceScores("b", "object_id", two, 0)])
    assert row["jf"] == pytest.approx((1.0 + 0.3 + 0.3) / 3)
    assert (row["sequences"], row["objects"], row["frames"]) == (2, 3, 11)
    assert (row["tracked"], row["failed"]) == (11, 4 - 1)
    assert row["robustness"] == pytest.approx(11 / 14)
    assert row["jf_standard_error"] > 0


def test_a_set_of_nothing() -> None:
    row = set_row([])
    assert math.isnan(row["jf"])
    assert row["objects"] == 0
