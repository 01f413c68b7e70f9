"""`list`: videos by what is known of them and of their masklets."""

import json
from pathlib import Path

import pytest

from pvtt_flow.dataset.dataset import Dataset
from pvtt_flow.dataset.maintenance.row_updates import mark_gone
from tests.cli.terminal import pvtt_flow
from tests.dataset.dataset_rows import masklet
from tests.dataset.datasets import new_dataset, publish, publish_videos


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Videos: `cup` has a doubtful mug and a good spoon, `lost` failed, `red-mug` is gone."""
    made = new_dataset(tmp_path)
    publish_videos(made, ("red-mug", "blue-mug"))
    failure = {"failure_kind": "unreadable", "num_masklets": 0, "attempts": 3}
    publish_videos(made, ("lost",), status="quarantined", run_id="r2", **failure)
    mug = masklet("cup", num_frames=30, verdict="review", reasons=("flickers", "doubtful"))
    publish(made, mug, masklet("cup", 1, label="spoon"), run_id="r3", num_masklets=2)
    mark_gone(made.uri, gone=["red-mug"], returned=[], at_ns=1, run_id="r4")
    return made


def listed(dataset: Dataset, *options: object) -> list[str]:
    shown = pvtt_flow("list", dataset.uri, *options)
    assert (shown.code, shown.err) == (0, "")
    return [line.split("\t")[0] for line in shown.out.splitlines()]


def test_each_video_with_its_status_masklets_and_uri(dataset: Dataset) -> None:
    shown = pvtt_flow("list", dataset.uri)
    assert shown.code == 0, shown.err
    assert [line.split("\t") for line in shown.out.splitlines()] == [
        ["blue-mug", "ok", "1", "/videos/blue-mug.mp4"],
        ["cup", "ok", "2", "/videos/cup.mp4"],
        ["lost", "quarantined", "0", "/videos/lost.mp4"],
        ["red-mug", "ok", "1", "/videos/red-mug.mp4"],
    ]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--status", "quarantined"], ["lost"]),
        (["--status", "quarantined", "--status", "empty"], ["lost"]),
        (["--verdict", "review"], ["cup"]),
        (["--verdict", "accept", "--verdict", "review", "--status", "ok"],
         ["blue-mug", "cup", "red-mug"]),
        (["--verdict", "accept", "--gone"], ["red-mug"]),
        (["--reason", "flickers"], ["cup"]),
        (["--reason", "no'such"], []),
        (["--label", "spoon"], ["cup"]),
        # No masklet is both.
        (["--label", "spoon", "--reason", "flickers"], []),
        (["--label", "mug", "--reason", "flickers", "--reason", "no_mask"], ["cup"]),
        (["--fit", "diffueraser"], ["cup"]),
        (["--fit", "diffueraser", "--label", "spoon"], []),
        (["--fit", "vace"], []),
        (["--limit", "2"], ["blue-mug", "cup"]),
        (["--limit", "0"], []),
    ],
)  # fmt: skip
def test_options_choose_videos(dataset: Dataset, options: list[str], expected: list[str]) -> None:
    assert listed(dataset, *options) == expected


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("videos.status = 'quarantined'", ["lost"]),
        ("verdict = 'review' AND qc.presence > 0.4 -- and a remark", ["cup"]),
        ("verdict = 'review' OR attempts > 2", ["cup", "lost"]),
        ("len(frames) > 20", ["cup"]),
        ("masklets.video_id IN (SELECT video_id FROM masklets GROUP BY ALL HAVING count(*) > 1)",
         ["cup"]),
    ],
)  # fmt: skip
def test_a_condition_is_on_the_columns_of_both_tables(
    dataset: Dataset, where: str, expected: list[str]
) -> None:
    assert listed(dataset, "--where", where) == expected


def test_a_condition_holds_with_other_options_for_one_masklet(dataset: Dataset) -> None:
    assert listed(dataset, "--where", "label = 'mug'", "--verdict", "review") == ["cup"]
    assert listed(dataset, "--where", "label = 'spoon'", "--verdict", "review") == []


@pytest.mark.parametrize(
    ("where", "reason"),
    [
        ("EXISTS (FROM read_text('/etc/passwd'))", "file system operations are disabled"),
        ("EXISTS (FROM '/etc/passwd')", "Table with name /etc/passwd does not exist!"),
        ("COPY videos TO 'videos.csv'", "syntax error"),
        ("true; COPY videos TO 'videos.csv'", "it holds more than one statement"),
        ("true) UNION SELECT (video_id", "syntax error"),
        ("true, false", "only a single expression"),
        ("", "without selection list"),
        ("nosuch = 1", 'Referenced column "nosuch" not found'),
        ("run_id = 'r1'", "use: 'videos.run_id' or 'masklets.run_id'"),
        ("status = $none", "not provided"),
        # Found in the rows, not before.
        ("label::int = 3", "Could not convert string 'mug'"),
    ],
)
def test_a_condition_that_is_refused(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, reason: str
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = pvtt_flow("list", dataset.uri, "--where", where)
    assert (ended.code, ended.out) == (2, "")
    said = "error: --where must be an SQL condition on the columns of videos and masklets, got "
    assert ended.err.startswith(f"{said}{where!r}: ")
    assert reason in ended.err
    assert len(ended.err.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["dataset"]


def test_a_line_of_json_for_each_video(dataset: Dataset) -> None:
    (line,) = pvtt_flow("list", dataset.uri, "--gone", "--json").out.splitlines()
    assert json.loads(line) == {
        "video_id": "red-mug", "status": "ok", "num_masklets": 1, "uri": "/videos/red-mug.mp4",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--status", "gone"],
         "--status must be one of ok, empty, failed, quarantined, got 'gone'"),
        (["--verdict", "good"], "--verdict must be one of accept, review, reject, got 'good'"),
        (["--fit", "vase"], "did you mean vace?"),
    ],
)  # fmt: skip
def test_a_name_that_is_unknown(dataset: Dataset, options: list[str], message: str) -> None:
    ended = pvtt_flow("list", dataset.uri, *options)
    assert (ended.code, ended.out) == (2, "")
    assert message in ended.err


@pytest.mark.parametrize(
    "options", [["--videos"], ["--gone"], ["--status", "ok"], ["--verdict", "x"], ["--reason", "x"]]
)
def test_show_names_the_command_that_has_its_former_options(
    dataset: Dataset, options: list[str]
) -> None:
    ended = pvtt_flow("show", dataset.uri, *options)
    said = "error: show has no options that choose videos; pvtt-flow list DATASET has them\n"
    assert (ended.code, ended.out, ended.err) == (2, "", said)
    assert options[0] not in pvtt_flow("show", "--help").out
