"""Commands that change what a dataset says, as a shell sees them."""

import json
from pathlib import Path

import pytest

from pvtt_flow.dataset.dataset import Dataset
from pvtt_flow.dataset.history import open_snapshot
from pvtt_flow.dataset.maintenance.row_updates import mark_gone
from tests.cli.terminal import Ended, pvtt_flow
from tests.dataset.dataset_rows import masklet
from tests.dataset.datasets import new_dataset, publish, publish_videos, videos_of


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    made = new_dataset(tmp_path)
    publish_videos(made, ("red-mug", "blue-mug"))
    failure = {"failure_kind": "unreadable", "num_masklets": 0, "attempts": 3}
    publish_videos(made, ("lost",), status="quarantined", run_id="r2", **failure)
    return made


def refused(*arguments: object) -> str:
    ended = pvtt_flow(*arguments)
    assert ended.code == 2
    return ended.err


def cells(ended: Ended, first: str) -> list[str]:
    """Return the numbers of the table row that starts with a word."""
    assert ended.code == 0, ended.err
    rows = [[c.strip() for c in line.split("│")[1:-1]] for line in ended.out.splitlines()]
    return next(row for row in rows if row and row[0] == first)


def test_history_and_restore(dataset: Dataset) -> None:
    shown = pvtt_flow("history", dataset.uri)
    assert cells(shown, "2")[2:] == ["run", "run r2"]
    assert "│ videos_added 2" in shown.out
    assert "version 3 has the content of version 1" in pvtt_flow("restore", dataset.uri, "1").out
    assert sorted(videos_of(dataset)) == ["blue-mug", "red-mug"]
    assert "│ restored_version 1" in pvtt_flow("history", dataset.uri).out
    assert pvtt_flow("restore", dataset.uri, "--at", "2999-01-01").out.startswith(
        "version 4 has the content of version 3"
    )
    assert "must have either VERSION or --at, got neither" in refused("restore", dataset.uri)
    assert "must be in [0, 4], got 99" in refused("restore", dataset.uri, "99")


def test_diff(dataset: Dataset) -> None:
    publish(dataset, masklet("red-mug", verdict="reject"), work_key="k2")
    shown = pvtt_flow("diff", dataset.uri, "1", "3")
    assert cells(shown, "recomputed") == ["recomputed", "1"]
    assert cells(shown, "accept → reject") == ["accept → reject", "1"]
    assert cells(shown, "mean mask IoU of recomputed masklets")[1] == "1.0000"
    assert "added: /videos/lost.mp4" in shown.out


def test_judge(dataset: Dataset) -> None:
    shown = pvtt_flow("judge", dataset.uri, "--set", "qc.reject_probability=1")
    assert cells(shown, "accept → reject") == ["accept → reject", "3"]
    assert "3 masklets judged; version 3" in shown.out
    assert cells(pvtt_flow("show", dataset.uri), "reject") == ["reject", "3"]
    assert "must be in [0, 1]" in refused("judge", dataset.uri, "--set", "qc.reject_probability=6")
    assert "did you mean reject_probability" in refused(
        "judge", dataset.uri, "--set", "qc.reject_probabilty=0.5"
    )
    assert "--set must be qc.KEY=VALUE here, got tracker" in refused(
        "judge", dataset.uri, "--set", "tracker.max_concurrent_shots=2"
    )


@pytest.mark.parametrize("command", ["show", "preview", "retry", "clear"])
def test_a_video_that_is_not_there_or_not_the_only_one(dataset: Dataset, command: str) -> None:
    advice = f"list ids with pvtt-flow list {dataset.uri}"
    assert refused(command, dataset.uri, "nosuch") == (
        f"error: no video in {dataset.uri} matches 'nosuch'; {advice}\n"
    )
    assert refused(command, dataset.uri, "rad-mug") == (
        f"error: no video in {dataset.uri} matches 'rad-mug'; did you mean red-mug? Else {advice}\n"
    )
    assert refused(command, dataset.uri, "mug") == (
        f"error: VIDEO must match one video in {dataset.uri}, got 'mug', which matches blue-mug, "
        f"red-mug; {advice}\n"
    )


def test_show_as_json(dataset: Dataset) -> None:
    shown = json.loads(pvtt_flow("show", dataset.uri, "--json").out)
    assert shown["version"] == 2
    assert shown["totals"]["videos"] == 3
    assert shown["videos_by_status"] == {"ok": 2, "quarantined": 1}
    assert shown["masklets_by_verdict"] == {"accept": 3}
    assert [failure["kind"] for failure in shown["failures"]] == ["unreadable"]
    assert (shown["videos_gone"], shown["runs_without_end"]) == (0, [])


def test_history_fits_80_columns(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    pvtt_flow("judge", dataset.uri, "--set", "qc.reject_probability=1")
    monkeypatch.setattr("tests.cli.terminal.COLUMNS", "80")
    lines = pvtt_flow("history", dataset.uri).out.splitlines()
    for detail in ("run r2", "videos_added 2", "accept_to_reject 3", "qc.reject_probability 1.0"):
        assert any(f"│ {detail} " in line for line in lines), detail
    assert max(map(len, lines)) <= 80


def test_control_characters_of_names_are_escaped(dataset: Dataset) -> None:
    uri = "/videos/\x1b[2Ja\nb\u202e.mp4"
    failure = {"failure_kind": "unreadable", "num_masklets": 0, "failure_message": uri}
    publish_videos(dataset, ("odd",), uri=uri, run_id="r3", status="failed", **failure)
    text = r"/videos/\x1b[2Ja\nb\u202e.mp4"
    for command in (("show",), ("show", "odd"), ("list",), ("diff", 2, 3)):
        shown = pvtt_flow(command[0], dataset.uri, *command[1:])
        assert text in shown.out, command
        assert "\x1b" not in shown.out
    assert "matches 'nosuch\\x1b'" in pvtt_flow("preview", dataset.uri, "nosuch\x1b").err


def test_a_part_that_matches_many_videos_lists_a_few(dataset: Dataset) -> None:
    publish_videos(dataset, [f"cup{i}" for i in range(9)])
    assert refused("retry", dataset.uri, "cup").count("cup") == 1 + 5
    # An id is that video, also where other ids contain it.
    publish_videos(dataset, ["cup"])
    assert "no failed video matches" in pvtt_flow("retry", dataset.uri, "cup").out


def test_retry(dataset: Dataset) -> None:
    assert "no failed video matches" in pvtt_flow("retry", dataset.uri, "red-mug").out
    assert "no failed video matches" in pvtt_flow("retry", dataset.uri, "--kind", "internal").out
    assert (
        "1 videos will be processed again; version 3"
        in pvtt_flow("retry", dataset.uri, "--all").out
    )
    assert (videos_of(dataset)["lost"].status, videos_of(dataset)["lost"].attempts) == ("failed", 0)
    assert "must have VIDEO, --kind or --all" in refused("retry", dataset.uri)


def test_clear(dataset: Dataset) -> None:
    assert "1 videos and their 1 masklets deleted" in pvtt_flow("clear", dataset.uri, "red").out
    assert "no video is gone from its input" in pvtt_flow("clear", dataset.uri, "--gone").out
    mark_gone(dataset.uri, gone=["lost"], returned=[], at_ns=1, run_id="r3")
    assert "1 videos and their 0 masklets" in pvtt_flow("clear", dataset.uri, "--gone").out
    assert list(videos_of(dataset)) == ["blue-mug"]
    assert "must have either VIDEO or --gone, got neither" in refused("clear", dataset.uri)


def test_maintenance(dataset: Dataset) -> None:
    before = open_snapshot(dataset.uri).num_files()
    compacted = pvtt_flow("compact", dataset.uri)
    assert (
        f"{before} files became {open_snapshot(dataset.uri).num_files()}; version 3"
        in compacted.out
    )
    assert (
        "0 files would be deleted; readable from version 0 on"
        in pvtt_flow("vacuum", dataset.uri, "--dry-run").out
    )
    assert pvtt_flow("vacuum", dataset.uri).out == "0 files deleted; readable from version 0 on\n"
    assert "already up to date" in pvtt_flow("upgrade", dataset.uri).out


@pytest.mark.parametrize(
    "command",
    ["history", "diff 0 1", "restore 1", "compact", "vacuum", "upgrade", "judge", "retry --all",
     "clear --gone"],
)  # fmt: skip
def test_commands_on_a_missing_dataset(tmp_path: Path, command: str) -> None:
    name, *rest = command.split()
    assert "has no table 'videos'; correct the uri" in refused(name, tmp_path, *rest)
