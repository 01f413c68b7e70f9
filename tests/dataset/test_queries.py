"""Rows of a dataset, by run."""

from pathlib import Path

import pyarrow as pa
import pytest

from pvtt_flow import open_dataset
from pvtt_flow.dataset.arrow import Row
from pvtt_flow.dataset.maintenance.schema_evolution import rows_as
from pvtt_flow.dataset.queries import videos_of_run
from tests.dataset.dataset_rows import video_record
from tests.dataset.datasets import new_dataset


def test_videos_of_a_run_with_masklets_come_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = new_dataset(tmp_path)
    records = [
        video_record(f"v{i:03d}", run_id="r1", num_masklets=int(i % 50 == 49)) for i in range(200)
    ]
    # Several files, in the opposite order of the uris.
    for start in (100, 0):
        dataset.commit((), records[start : start + 100][::-1], run_id="r1", expected_run_ids={})
    dataset.commit((), [video_record("a", run_id="r2")], run_id="r2", expected_run_ids={})

    converted: list[int] = []

    def counting_rows_as(cls: type[Row], table: pa.Table) -> list[Row]:
        converted.append(table.num_rows)
        return rows_as(cls, table)

    monkeypatch.setattr("pvtt_flow.dataset.queries.rows_as", counting_rows_as)
    videos = open_dataset(dataset.uri).videos()
    found = [record.video_id for record in videos_of_run(videos, "r1", limit=6)]
    assert found == ["v049", "v099", "v149", "v199", "v000", "v001"]
    assert converted == [6], "no more rows become Python objects than are asked for"
    assert len(videos_of_run(videos, "r1", limit=300)) == 200
    assert videos_of_run(videos, "r3", limit=12) == []
