from dataclasses import replace
from pathlib import Path

import numpy as np

from pvtt_flow.core.qc import QcThresholds
from pvtt_flow.report.columns import measured_columns
from pvtt_flow.report.content import Histogram
from pvtt_flow.report.histograms import NUM_BINS, make_histograms, thresholds_of
from pvtt_flow.types import Measurements
from tests.dataset.dataset_rows import masklet, measurements
from tests.dataset.datasets import new_dataset, publish
from tests.report.mixed_dataset import NUM_GOOD, PROMPT_IOUS, mixed_dataset, opened

THRESHOLDS = QcThresholds(prompt_iou_min=0.25)


def histograms_of(folder: Path) -> dict[str, Histogram]:
    dataset = opened(mixed_dataset(folder))
    with dataset.duckdb() as db:
        made = make_histograms(db, measured_columns(dataset), THRESHOLDS)
    return {histogram.name: histogram for histogram in made}


def test_bins_are_those_of_numpy(tmp_path: Path) -> None:
    found = histograms_of(tmp_path)["prompt_iou"]
    counts, edges = np.histogram(PROMPT_IOUS, bins=NUM_BINS)
    assert sum(found.counts) == NUM_GOOD
    # A value on an edge may be on either side of it, by its last bit.
    centers = (edges[:-1] + edges[1:]) / 2
    mean = np.average(centers, weights=found.counts)
    assert abs(mean - np.average(centers, weights=counts)) < edges[1] - edges[0]
    assert np.allclose((found.low, found.high), (edges[0], edges[-1]))
    assert np.allclose(found.mean, np.mean(PROMPT_IOUS))
    assert found.num_missing == 0


def test_values_between_edges_are_in_the_bins_of_numpy(tmp_path: Path) -> None:
    values = np.random.default_rng(3).random(200)
    dataset = new_dataset(tmp_path)
    rows = [
        masklet(f"v{i}", qc=replace(measurements(0.5), box_jump_max=float(v)))
        for i, v in enumerate(values)
    ]
    publish(dataset, *rows)
    with opened(dataset).duckdb() as db:
        (found,) = make_histograms(db, ["box_jump_max"], THRESHOLDS)
    assert found.counts == tuple(np.histogram(values, bins=NUM_BINS)[0])
    assert (found.smallest, found.largest) == (values.min(), values.max())


def test_whole_numbers_have_a_bin_each(tmp_path: Path) -> None:
    found = histograms_of(tmp_path)["visibility_flips"]
    assert (found.low, found.high, found.counts) == (0, 3, (4, 3, 3))


def test_missing_values_are_counted_and_not_drawn(tmp_path: Path) -> None:
    found = histograms_of(tmp_path)
    assert found["good_probability"].num_missing == 1
    assert sum(found["good_probability"].counts) == NUM_GOOD - 1
    # No masklet has one.
    assert "flow_iou_mean" not in found


def test_a_value_that_is_no_number_is_missing(tmp_path: Path) -> None:
    dataset = new_dataset(tmp_path)
    values = (0.25, float("nan"), float("inf"), 0.75)
    rows = [
        masklet(f"v{i}", qc=replace(measurements(0.5), prompt_iou=v)) for i, v in enumerate(values)
    ]
    publish(dataset, *rows)
    with opened(dataset).duckdb() as db:
        (found,) = make_histograms(db, ["prompt_iou"], THRESHOLDS)
    assert (found.low, found.high, found.num_missing) == (0.25, 0.75, 2)
    assert (found.counts[0], found.counts[-1], sum(found.counts)) == (1, 1, 2)


def test_a_constant_has_one_bin_around_it(tmp_path: Path) -> None:
    found = histograms_of(tmp_path)["presence"]
    assert found.counts == (NUM_GOOD,)
    assert found.low < 0.5 < found.high


def test_thresholds_are_those_that_are_given() -> None:
    (bound,) = thresholds_of("prompt_iou", THRESHOLDS)
    assert (bound.name, bound.value) == ("prompt_iou_min", 0.25)
    probabilities = thresholds_of("good_probability", THRESHOLDS)
    assert [t.value for t in probabilities] == [0.2, 0.9]
    assert thresholds_of("holes_mean", THRESHOLDS) == ()


def test_every_threshold_of_qc_is_on_a_measurement() -> None:
    columns = ("good_probability", "gone_probability", *Measurements.__dataclass_fields__)
    drawn = {t.name for name in columns for t in thresholds_of(name, THRESHOLDS)}
    assert drawn == set(QcThresholds.model_fields) - {"always_review"}


def test_a_dataset_without_rows_has_no_histogram(tmp_path: Path) -> None:
    dataset = opened(new_dataset(tmp_path))
    with dataset.duckdb() as db:
        assert make_histograms(db, measured_columns(dataset), THRESHOLDS) == ()
        assert make_histograms(db, (), THRESHOLDS) == ()
