"""Counts of frames by what became of the object."""

import math

import numpy as np

from pvtt_flow.evaluate.counts import Counts, count_frames, total


def test_each_frame_has_one_kind() -> None:
    is_present = np.array([1, 1, 1, 1, 0, 0, 0], bool)
    is_shown = np.array([1, 1, 1, 0, 1, 0, 0], bool)
    overlaps = np.array([1, 1, 0, 0, 0, 0, 0], bool)
    found = count_frames(is_present, is_shown, overlaps)
    assert found == Counts(tracked=2, failed=1, missed=1, hallucinated=1, noticed_absence=2)
    assert (found.robustness, found.drift, found.not_reported) == (0.5, 0.25, 0.25)


def test_few_frames_without_the_object_say_nothing() -> None:
    assert math.isnan(Counts(1, 0, 0, 2, 8).absence_detection)
    assert Counts(1, 0, 0, 2, 9).absence_detection == 9 / 11
    assert math.isnan(Counts(0, 0, 0, 2, 9).robustness)


def test_counts_of_several_objects() -> None:
    assert total([Counts(1, 2, 3, 4, 5), Counts(10, 0, 0, 0, 1)]) == Counts(11, 2, 3, 4, 6)
    assert total([]) == Counts(0, 0, 0, 0, 0)
