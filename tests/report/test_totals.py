from pathlib import Path

from pvtt_flow.report.totals import count_totals, group_failures
from tests.dataset.datasets import new_dataset
from tests.report.mixed_dataset import mixed_dataset, opened


def test_totals_are_those_of_all_rows(tmp_path: Path) -> None:
    with opened(mixed_dataset(tmp_path)).duckdb() as db:
        totals = count_totals(db, num_gone=1)
    assert (totals.videos, totals.shots, totals.frames) == (13, 11, 33)
    assert (totals.size_bytes, totals.masklets, totals.gone) == (13_000, 10, 1)
    assert round(totals.seconds, 6) == round(13 * 0.12, 6)
    assert totals.statuses == {"ok": 10, "empty": 1, "failed": 2}
    assert totals.verdicts == {"accept": 1, "review": 7, "reject": 2}
    assert totals.reasons == {"box_jump": 8, "doubtful": 8, "no_mask": 1}
    assert list(totals.labels.items()) == [("mug", 9), ("cup", 1)]


def test_failures_have_the_command_that_retries_them(tmp_path: Path) -> None:
    folder = tmp_path / "with space"
    folder.mkdir()
    dataset = mixed_dataset(folder)
    with opened(dataset).duckdb() as db:
        groups = group_failures(db, dataset.uri)
    assert [(g.kind, g.stage, g.count, g.uri) for g in groups] == [
        ("not_a_video", "inspect", 1, "/videos/f1.mp4"),
        ("unreadable", "inspect", 1, "/videos/f0.mp4"),
    ]
    assert groups[1].message == "unreadable message"
    assert groups[1].retry == f"pvtt-flow retry '{dataset.uri}' --kind unreadable"


def test_a_dataset_without_rows_has_zeros(tmp_path: Path) -> None:
    with opened(new_dataset(tmp_path)).duckdb() as db:
        totals = count_totals(db, num_gone=0)
        assert group_failures(db, "d") == ()
    assert (totals.videos, totals.shots, totals.masklets, totals.seconds) == (0, 0, 0, 0)
    assert totals.verdicts == totals.statuses == totals.labels == {}
