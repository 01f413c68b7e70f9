"""Renewal of etags and attributes: results stay."""

from dataclasses import replace
from pathlib import Path

from pvtt_flow import open_dataset
from pvtt_flow.dataset.maintenance.compact import FULL, compact
from pvtt_flow.dataset.maintenance.renew import renew
from pvtt_flow.types import Source
from tests.dataset.datasets import masklets_of, new_dataset, publish_videos, videos_of


def source(name: str, etag: str, run_id: str = "r1", **attributes: str) -> Source:
    return Source(
        video_id=name,
        uri=f"/videos/{name}.mp4",
        etag=etag,
        size_bytes=1000,
        attributes=attributes or None,
        expected_run_id=run_id,
    )


def test_rows_get_their_present_etags_and_attributes(tmp_path: Path) -> None:
    dataset = new_dataset(tmp_path)
    publish_videos(dataset, "abc")
    publish_videos(dataset, "d", attributes={"sku": "7"})
    before, masklets = videos_of(dataset), masklets_of(dataset)
    renew(
        dataset.uri,
        [source("a", "e2"), source("b", "e1", sku="1", größe="é"), source("c", "e2", run_id="r0")],
        "r2",
    )
    assert videos_of(dataset) == before | {
        "a": replace(before["a"], etag="e2", processed_etag="e1"),
        "b": replace(before["b"], attributes={"sku": "1", "größe": "é"}),
    }, "another run has processed c"
    renew(dataset.uri, [source("a", "e3", sku="2")], "r3")
    record = videos_of(dataset)["a"]
    assert (record.etag, record.processed_etag, record.attributes) == ("e3", "e1", {"sku": "2"})
    assert masklets_of(dataset) == masklets

    compact(dataset.uri, FULL, {})
    with open_dataset(dataset.uri).duckdb() as db:
        found = db.sql("SELECT video_id FROM videos WHERE attributes['sku'] = '7'").fetchall()
    assert found == [("d",)]
