from pathlib import Path

import pytest

from pvtt_flow.report.content import Kind
from pvtt_flow.report.sample import choose_videos, describe_sample
from tests.dataset.dataset_rows import masklet, video_record
from tests.dataset.datasets import new_dataset, publish
from tests.report.mixed_dataset import mixed_dataset, opened


def chosen(folder: Path, num_videos: int, seed: int = 0) -> dict[str, Kind]:
    with opened(mixed_dataset(folder)).duckdb() as db:
        return choose_videos(db, num_videos, seed, has_probability=True)


def test_a_small_dataset_is_shown_whole_with_the_worst_first(tmp_path: Path) -> None:
    found = chosen(tmp_path, 13)
    assert list(found)[:10] == [f"v{i}" for i in range(10)]
    assert set(list(found)[10:]) == {"e0", "f0", "f1"}
    assert set(found.values()) == {"all"}
    assert describe_sample(found.values(), 13, 0) == "All 13 videos."


def test_half_is_in_most_doubt_and_half_at_random(tmp_path: Path) -> None:
    found = chosen(tmp_path, 6)
    assert [video for video, kind in found.items() if kind == "doubt"] == ["v0", "v1", "v2"]
    assert list(found.values()) == ["doubt"] * 3 + ["random"] * 3
    assert describe_sample(found.values(), 1300, 0) == (
        "6 of 1,300 videos: the 3 in most doubt, 3 at random (seed 0)."
    )


def test_empty_and_failed_videos_have_their_share(tmp_path: Path) -> None:
    found = chosen(tmp_path, 8)
    assert [kind for kind in found.values() if kind in ("empty", "failed")] == ["empty", "failed"]
    assert len(found) == 8


def test_a_seed_chooses_the_same_videos_again_and_another_one_others(tmp_path: Path) -> None:
    dataset = new_dataset(tmp_path)
    publish(dataset, *(masklet(f"v{i}") for i in range(100)))
    with opened(dataset).duckdb() as db:
        one, again, other = (
            choose_videos(db, 10, seed, has_probability=True) for seed in (1, 1, 2)
        )
    assert list(one) == list(again)
    assert set(one) != set(other)


def test_failures_of_every_kind_come_before_a_second_one(tmp_path: Path) -> None:
    dataset = mixed_dataset(tmp_path)
    many = [
        video_record(f"g{i}", status="failed", failure_kind="unreadable", num_masklets=0)
        for i in range(30)
    ]
    dataset.commit([], many, run_id="r3")
    with opened(dataset).duckdb() as db:
        found = choose_videos(db, 16, 0, has_probability=True)
    assert "f1" in found  # the only one that is no video


@pytest.mark.parametrize("num_videos", [0, 1, 2, 5])
def test_there_are_no_more_than_asked_for(tmp_path: Path, num_videos: int) -> None:
    assert len(chosen(tmp_path, num_videos)) == num_videos


def test_older_tables_have_no_probability(tmp_path: Path) -> None:
    with opened(mixed_dataset(tmp_path)).duckdb() as db:
        assert len(choose_videos(db, 4, 0, has_probability=False)) == 4
