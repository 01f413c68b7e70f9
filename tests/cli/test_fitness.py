"""`fitness` and `profiles`, as a shell sees them."""

import json
from pathlib import Path

import pytest

from pvtt_flow.dataset.dataset import Dataset
from pvtt_flow.export import profiles
from tests.cli.terminal import pvtt_flow
from tests.dataset.dataset_rows import masklet
from tests.dataset.datasets import new_dataset, publish


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Masklets with 30 and 10 frames, 25 per second."""
    made = new_dataset(tmp_path)
    publish(made, masklet("long", num_frames=30), masklet("short", num_frames=10, verdict="review"))
    return made


def test_counts_of_each_profile(dataset: Dataset) -> None:
    shown = pvtt_flow("fitness", dataset.uri, "--profile", "diffueraser", "--profile", "vace")
    assert shown.code == 0, shown.err
    rows = [[c.strip() for c in line.split("│")[1:-1]] for line in shown.out.splitlines()]
    assert ["diffueraser", "1", "0", "1", "1 too_few_frames"] in rows
    vace = next(row for row in rows if row[:1] == ["vace"])
    assert vace[1:4] == ["0", "0", "2"]
    assert "2 too_few_frames" in vace[4]
    counts = json.loads(pvtt_flow("fitness", dataset.uri, "--json").out)
    assert len(counts) == 10
    assert counts["diffueraser"] == {
        "fit": 1, "fixable": 0, "unfit": 1, "reasons": {"too_few_frames": 1},
    }  # fmt: skip


def test_a_line_for_each_masklet(dataset: Dataset) -> None:
    asked = ("fitness", dataset.uri, "--profile", "diffueraser", "--list")
    lines = sorted(line.split("\t") for line in pvtt_flow(*asked).out.splitlines())
    assert [cells[1:] for cells in lines] == [
        ["diffueraser", "fit", "", ""],
        ["diffueraser", "unfit", "needs 22 frames, has 10", ""],
    ]
    (line,) = pvtt_flow(*asked, "--json", "--verdict", "review").out.splitlines()
    row = json.loads(line)
    assert (row["video_id"], row["qc_verdict"], row["verdict"]) == ("short", "review", "unfit")
    assert row["reasons"] == [{"rule": "too_few_frames", "text": "needs 22 frames, has 10"}]
    both = pvtt_flow(*asked, "--verdict", "review", "--verdict", "accept").out
    assert len(both.splitlines()) == 2


def test_a_profile_of_ones_own(dataset: Dataset, tmp_path: Path) -> None:
    text = Path(profiles.__file__).with_name("diffueraser.yaml").read_text()
    path = tmp_path / "mine.yaml"
    path.write_text(
        text.replace("name: diffueraser", "name: mine").replace("least: 22", "least: 9")
    )
    counts = json.loads(pvtt_flow("fitness", dataset.uri, "--profile", path, "--json").out)
    assert counts == {"mine": {"fit": 2, "fixable": 0, "unfit": 0, "reasons": {}}}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--profile", "vaec"), "got 'vaec'; did you mean vace?"),
        (("--profile", "none.yaml"), "config file not found: none.yaml"),
        (
            ("--profile", "vace", "--profile", "vace"),
            "--profile must be given once for each name, got vace 2 times; give your copy",
        ),
        (("--verdict", "good"), "--verdict must be one of accept, review, reject, got 'good'"),
    ],
)
def test_refusals(dataset: Dataset, options: tuple[str, ...], message: str) -> None:
    ended = pvtt_flow("fitness", dataset.uri, *options)
    assert ended.code == 2
    assert message in ended.err


def test_the_profiles() -> None:
    shown = pvtt_flow("profiles").out
    assert "│ vace            │ 81 " in shown
    assert "white, hole >= 240" in shown
    shipped = json.loads(pvtt_flow("profiles", "--json").out)
    assert [p["fps"] for p in shipped if p["name"] == "void"] == [12.0]
