"""Small files become few, and nobody sees a difference in the rows."""

import random
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pvtt_flow import open_dataset
from pvtt_flow.dataset.dataset import Dataset
from pvtt_flow.dataset.history import open_snapshot
from pvtt_flow.dataset.maintenance.compact import (
    FULL,
    INCREMENTAL,
    CompactionPolicy,
    File,
    compact,
    merge_groups,
)
from pvtt_flow.dataset.tables import MASKLETS, NUM_BUCKETS
from tests.dataset.dataset_rows import masklet
from tests.dataset.datasets import masklets_of, new_dataset, publish, publish_videos, videos_of

FILES = st.lists(
    st.builds(
        File,
        path=st.uuids().map(str),
        partition=st.sampled_from("ab"),
        size_bytes=st.integers(1, 150),
        first_id=st.sampled_from("uvwxyz"),
    ),
    max_size=40,
    unique_by=lambda file: file.path,
)


@given(FILES, st.integers(2, 6))
def test_groups_contain_neighbors_up_to_a_size(files: list[File], fanout: int) -> None:
    found = list(merge_groups(files, "t", CompactionPolicy(target_bytes={"t": 100}, fanout=fanout)))
    merged = [file for group in found for file in group]
    assert len(merged) == len({file.path for file in merged}), "no file twice"
    for group in found:
        assert len(group) > 1
        assert len({file.partition for file in group}) == 1
        assert sum(file.size_bytes for file in group) <= 100
        assert all(file.size_bytes < 50 for file in group)
        assert [f.first_id for f in group] == sorted(f.first_id for f in group)
    for partition in "ab":
        small = [f for f in files if f.partition == partition and f.size_bytes < 50]
        if len(small) < fanout:
            assert not any(f.partition == partition for f in merged), "it waits for more"


def test_a_year_of_nightly_runs_leaves_few_files_and_writes_rows_anew_a_few_times() -> None:
    """200 videos a night; what merges would do, without the files."""
    chance = random.Random(1)
    files: dict[str, File] = {}
    added = written = 0
    for night in range(365):
        for number in range(200):
            partition = str(chance.randrange(NUM_BUCKETS))
            file = File(f"{night}-{number}", partition, 30_000, f"{chance.random()}")
            files[file.path] = file
            added += file.size_bytes
        for group in merge_groups([*files.values()], MASKLETS, INCREMENTAL):
            for file in group:
                del files[file.path]
            merged = replace(group[0], size_bytes=sum(file.size_bytes for file in group))
            files[merged.path] = merged
            written += merged.size_bytes
        assert len(files) < NUM_BUCKETS * 3 * INCREMENTAL.fanout
    assert 1 < written / added < 3


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    made = new_dataset(tmp_path)
    for number in range(6):
        publish_videos(made, (f"v{number}", f"w{number}"))
    return made


def test_the_rows_are_the_same_in_fewer_files(dataset: Dataset) -> None:
    rows, records, before = (
        masklets_of(dataset),
        videos_of(dataset),
        open_snapshot(dataset.uri).num_files(),
    )
    version = compact(dataset.uri, FULL, {})
    assert open_snapshot(dataset.uri).num_files() < before
    assert len(list(open_dataset(dataset.uri).videos().get_fragments())) == 1
    assert open_dataset(dataset.uri).videos().to_table()["video_id"].to_pylist() == sorted(records)
    assert (masklets_of(dataset), videos_of(dataset)) == (rows, records)
    assert compact(dataset.uri, FULL, {}) == version, "there is nothing left to do"
    assert masklets_of(open_dataset(dataset.uri, version - 1)) == rows


def test_a_run_merges_only_enough_files(dataset: Dataset) -> None:
    assert compact(dataset.uri, INCREMENTAL, {}) == 6
    for number in range(INCREMENTAL.fanout):
        publish(dataset, masklet(f"x{number}"))
    assert compact(dataset.uri, INCREMENTAL, {}) == 7 + INCREMENTAL.fanout
    assert len(list(open_dataset(dataset.uri).videos().get_fragments())) == 1


def test_a_run_does_not_wait_for_a_long_merge(dataset: Dataset) -> None:
    """Remaining groups are merged the next time."""
    for number in range(12):
        publish_videos(dataset, (f"x{number}",))
    few = replace(FULL, max_groups=1)
    rows, counts = masklets_of(dataset), [open_snapshot(dataset.uri).num_files()]
    latest = open_snapshot(dataset.uri).version
    while (version := compact(dataset.uri, few, {})) != latest:
        latest = version
        counts.append(open_snapshot(dataset.uri).num_files())
    assert len(counts) > 3
    assert counts == sorted(counts, reverse=True)
    assert masklets_of(dataset) == rows
    assert compact(dataset.uri, FULL, {}) == version


def test_a_video_in_a_merged_file_is_replaced_alone(dataset: Dataset) -> None:
    compact(dataset.uri, FULL, {})
    publish(dataset, masklet("v3", label="new"), run_id="r2")
    labels = {m.video_id: m.label for m in masklets_of(dataset)}
    assert len(labels) == 12
    assert [video for video, label in labels.items() if label == "new"] == ["v3"]
