"""Statistics over frames and over objects, on values computed by hand."""

import math

import numpy as np
import pytest

from pvtt_flow.evaluate.statistics import mean_of_objects, statistics


def test_decay_is_the_first_quarter_minus_the_last() -> None:
    # Quarters of nine frames share the frames between them: 0 to 2 and 6 to 8.
    found = statistics(np.array([1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.3, 0.2, 0.1]))
    assert found.mean == pytest.approx(5.1 / 9)
    assert found.recall == pytest.approx(5 / 9), "0.5 is not above 0.5"
    assert found.decay == pytest.approx(0.9 - 0.2)


def test_decay_of_a_long_video() -> None:
    # The reference counts frames in 8 bits and errs from 257 on.
    values = np.concatenate([np.ones(300), np.zeros(300)])
    assert statistics(values).decay == pytest.approx(1.0)


def test_statistics_of_one_frame_and_of_none() -> None:
    assert statistics(np.array([0.75])).decay == 0
    none = statistics(np.zeros(0))
    assert all(math.isnan(value) for value in (none.mean, none.recall, none.decay))


def test_the_error_of_single_objects_is_that_of_a_mean() -> None:
    values = np.array([0.2, 0.4, 0.9])
    found = mean_of_objects(values, np.array(["a", "b", "c"]))
    assert found.value == pytest.approx(0.5)
    assert found.standard_error == pytest.approx(np.std(values, ddof=1) / math.sqrt(3))


def test_objects_of_a_sequence_say_the_same_twice() -> None:
    values, sequences = np.array([0.2, 0.4, 0.9]), np.array(["a", "b", "c"])
    once = mean_of_objects(values, sequences)
    twice = mean_of_objects(np.repeat(values, 2), np.repeat(sequences, 2))
    assert twice.standard_error == pytest.approx(once.standard_error)


def test_one_sequence_has_no_error() -> None:
    found = mean_of_objects(np.array([0.2, 0.4]), np.array(["a", "a"]))
    assert found.value == pytest.approx(0.3)
    assert math.isnan(found.standard_error)
