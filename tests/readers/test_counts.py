from pathlib import Path

from pvtt_flow import open_dataset
from pvtt_flow.dataset.dataset import Dataset
from pvtt_flow.readers.counts import label_counts, reason_counts, status_counts, verdict_counts
from tests.dataset.dataset_rows import masklet
from tests.dataset.datasets import publish


def test_rows_are_counted_the_most_frequent_first(tmp_path: Path) -> None:
    dataset = Dataset(f"{tmp_path}/dataset")
    dataset.ensure()
    both = ("flickers", "area_jump")
    publish(dataset, masklet("a", label="mug", verdict="review", reasons=both))
    publish(dataset, masklet("b", label="cup", verdict="review", reasons=("area_jump",)))
    publish(dataset, masklet("c", label="mug", verdict=None))
    with open_dataset(dataset.uri).duckdb() as db:
        assert status_counts(db) == {"ok": 3}
        assert verdict_counts(db) == {"none": 1, "review": 2}
        assert list(reason_counts(db).items()) == [("area_jump", 2), ("flickers", 1)]
        assert list(label_counts(db).items()) == [("mug", 2), ("cup", 1)]
