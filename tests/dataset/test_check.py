"""Datasets with a lost or damaged file: named by each reader, found by a check, repaired."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pvtt_flow import open_dataset
from pvtt_flow.dataset.check import check
from pvtt_flow.dataset.dataset import Dataset
from pvtt_flow.dataset.delta import open_table
from pvtt_flow.dataset.history import history
from pvtt_flow.dataset.log_entries import damaged_entries
from pvtt_flow.dataset.maintenance.compact import FULL, compact
from pvtt_flow.dataset.maintenance.repair import repair
from pvtt_flow.dataset.tables import LOG
from tests.cli.terminal import pvtt_flow
from tests.dataset.dataset_rows import masklet, video_record
from tests.dataset.datasets import masklets_of, new_dataset, publish, videos_of
from tests.dataset.test_bit_flips import bounds_of_pages, flip, flip_in_column
from tests.dataset.test_dataset import same_bucket

if TYPE_CHECKING:
    from tests.conftest import S3Server

ONE, TWO, THREE = same_bucket(3)


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Make a file with rows of two videos, and one with rows of a third."""
    made = new_dataset(tmp_path)
    publish(made, masklet(ONE), masklet(TWO))
    publish(made, masklet(THREE), run_id="r2")
    return made


def file_of(dataset: Dataset, table: str, video_id: str) -> Path:
    """Return the file that has a video's rows."""
    opened = open_dataset(dataset.uri)
    rows = opened.videos() if table == "videos" else opened.masklets()
    (found,) = (
        Path(file.path)
        for file in rows.get_fragments()
        if video_id in file.to_table(columns=["video_id"])["video_id"].to_pylist()
    )
    return found


def lose(file: Path) -> None:
    file.unlink()


def shorten(file: Path) -> None:
    os.truncate(file, file.stat().st_size - 1)


def flip_a_bit(file: Path) -> None:
    flip_in_column(file, "run_id")


def rename_a_column(file: Path) -> None:
    """Flip a bit of a name in the footer: readers take the column for a missing one."""
    data = file.read_bytes()
    file.write_bytes(flip(data, data.index(b"verdict", bounds_of_pages(file)[1]), 0))


DAMAGES: dict[Callable[[Path], None], str] = {
    lose: "is lost",
    shorten: r"has \d+ bytes instead of \d+",
    flip_a_bit: "has other bytes than were written",
    rename_a_column: "has other bytes than were written",
}


@pytest.mark.parametrize("do", DAMAGES)
def test_masks_that_are_lost(dataset: Dataset, do: Callable[[Path], None]) -> None:
    assert not check(dataset.uri, deep=True).findings
    file = file_of(dataset, "masklets", ONE)
    do(file)
    checked = check(dataset.uri, deep=True)
    (finding,) = checked.findings
    assert (finding.uri, finding.video_ids) == (str(file), (ONE, TWO))
    assert re.fullmatch(DAMAGES[do], finding.problem)
    repaired = repair(dataset.uri, checked.damaged)
    assert repaired.video_ids == (ONE, TWO)
    assert not check(dataset.uri, deep=True).findings
    assert masklets_of(dataset) == [masklet(THREE)]
    assert list(videos_of(dataset)) == [THREE]
    assert history(dataset.uri)[0].notes == {"files_lost": 1, "videos_forgotten": 2}


def test_sizes_do_not_tell_of_a_flipped_bit(dataset: Dataset) -> None:
    flip_a_bit(file_of(dataset, "masklets", ONE))
    assert not check(dataset.uri).findings


def test_video_rows_that_are_lost_leave_no_masks_behind(dataset: Dataset) -> None:
    lose(file_of(dataset, "videos", ONE))
    checked = check(dataset.uri)
    assert checked.lost_video_ids == (ONE, TWO)
    repair(dataset.uri, checked.damaged)
    assert masklets_of(dataset) == [masklet(THREE)]
    publish(dataset, masklet(ONE), run_id="r3")
    assert masklets_of(dataset) == sorted(
        [masklet(ONE), masklet(THREE)], key=lambda m: m.masklet_id
    )


def test_a_video_with_rows_in_two_files_is_forgotten_whole(dataset: Dataset) -> None:
    files = dataset.write_masklets([masklet("a")]) + dataset.write_masklets([masklet("a", 1)])
    dataset.commit(files, [video_record("a", num_masklets=2)], run_id="r3")
    lose(Path(dataset.uri, "masklets", files[0].path))
    checked = check(dataset.uri)
    assert checked.lost_video_ids == ("a",)
    repair(dataset.uri, checked.damaged)
    assert "a" not in {m.video_id for m in masklets_of(dataset)}


@pytest.mark.parametrize("do", DAMAGES)
def test_a_lost_file_does_not_block_the_video_that_replaces_its_rows(
    dataset: Dataset, caplog: pytest.LogCaptureFixture, do: Callable[[Path], None]
) -> None:
    """Videos with rows in the file are forgotten, so that the next run makes them again."""
    file = file_of(dataset, "masklets", ONE)
    do(file)
    publish(dataset, masklet(ONE, label="new"), run_id="r3")
    rows = [masklet(ONE, label="new"), masklet(THREE)]
    assert masklets_of(dataset) == sorted(rows, key=lambda m: m.masklet_id)
    assert list(videos_of(dataset)) == sorted([ONE, THREE])
    assert f"{file} must" in caplog.text
    assert "the next run processes the 2 videos again" in caplog.text
    assert [v.operation for v in history(dataset.uri, 2)] == ["run", "repair"]


@pytest.mark.parametrize("do", DAMAGES)
def test_compaction_leaves_a_damaged_file_alone(
    dataset: Dataset, caplog: pytest.LogCaptureFixture, do: Callable[[Path], None]
) -> None:
    file = file_of(dataset, "masklets", ONE)
    do(file)
    compact(dataset.uri, FULL, {})
    assert f"{file} must" in caplog.text
    assert len(list(Path(dataset.uri, "videos").glob("*.parquet"))) == 3


COMMANDS = ["show {d}", "show {d} {one}", "list {d}", "diff {d} 0 2", "preview {d} {one}"]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_names_the_lost_file(dataset: Dataset, command: str) -> None:
    file = file_of(dataset, "videos", ONE)
    lose(file)
    ended = pvtt_flow(*command.format(d=dataset.uri, one=ONE).split())
    assert ended.code == 1
    advice = f"run `pvtt-flow check {dataset.uri}`"
    assert ended.err == f"error: the file {file} must exist, got none; {advice}\n"


def test_show_names_a_lost_file_of_masks(dataset: Dataset) -> None:
    file = file_of(dataset, "masklets", ONE)
    flip_in_column(file, "verdict")
    ended = pvtt_flow("show", dataset.uri)
    assert (ended.code, str(file) in ended.err) == (1, True)


def test_the_command(dataset: Dataset) -> None:
    ended = pvtt_flow("check", dataset.uri)
    whole = "version 2: 4 files are whole by their sizes; --deep reads them all\n"
    assert (ended.code, ended.out) == (0, whole)
    file = file_of(dataset, "masklets", ONE)
    lose(file)
    ended = pvtt_flow("check", dataset.uri, "--deep")
    advice = (
        f"copy what is lost back, or run pvtt-flow check {dataset.uri} --repair; the next run then "
        "processes 2 videos again"
    )
    assert ended.code == 1
    assert ended.out.splitlines() == [
        f"{file} is lost; it holds rows of {ONE}, {TWO}",
        advice,
    ]
    ended = pvtt_flow("check", dataset.uri, "--repair")
    assert ended.code == 0
    assert "version 3: the next run processes 2 videos again (undo with" in ended.out
    assert pvtt_flow("check", dataset.uri, "--deep").out == "version 3: 2 files are whole\n"


def test_a_dataset_that_is_not_there(tmp_path: Path) -> None:
    ended = pvtt_flow("check", tmp_path)
    assert ended.code == 2
    assert "no dataset at" in ended.err


def cut(entry: Path) -> None:
    entry.write_bytes(entry.read_bytes()[:-30])


def cut_after_a_line(entry: Path) -> None:
    entry.write_text(entry.read_text().splitlines(keepends=True)[0])


def empty(entry: Path) -> None:
    entry.write_bytes(b"")


def garble(entry: Path) -> None:
    entry.write_bytes(b"\xff" + entry.read_bytes()[1:])


@pytest.mark.parametrize("do", [lose, cut, cut_after_a_line, empty, garble])
@pytest.mark.parametrize("number", [0, 1])
def test_a_damaged_entry_of_a_log(
    dataset: Dataset, do: Callable[[Path], None], number: int
) -> None:
    entry = Path(dataset.uri, "videos", "_delta_log", f"{number:020}.json")
    do(entry)
    assert list(damaged_entries(dataset.uri, "videos")) == [str(entry)]
    checked = pvtt_flow("check", dataset.uri, "--repair")
    assert checked.code == 1
    advice = "copy it back from a backup: entries of a log cannot be repaired"
    assert checked.out == f"{entry} is lost or damaged; {advice}\n"
    said = f"the log entry {entry} must be as it was written"
    for command in (("show",), ("history",), ("restore", 1), ("diff", 0, 1), ("preview", "x")):
        ended = pvtt_flow(command[0], dataset.uri, *command[1:])
        # An entry without its last lines is read as a version without changes.
        assert said in ended.err or (number and do in (empty, cut_after_a_line)), command


def test_rows_that_a_cut_entry_leaves_out_are_made_again(dataset: Dataset) -> None:
    cut_after_a_line(Path(dataset.uri, "masklets", "_delta_log", f"{1:020}.json"))
    checked = check(dataset.uri)
    (finding,) = checked.findings
    assert (finding.problem, finding.video_ids) == ("lacks or repeats rows", (ONE, TWO))
    repair(dataset.uri, checked.damaged)
    assert not check(dataset.uri).findings
    assert list(videos_of(dataset)) == [THREE]


def test_old_entries_that_a_checkpoint_replaces(dataset: Dataset) -> None:
    open_table(dataset.uri, "videos").create_checkpoint()
    lose(Path(dataset.uri, "videos", "_delta_log", f"{0:020}.json"))
    assert not check(dataset.uri).findings


def checkpoints_of(dataset: Dataset) -> tuple[Path, Path]:
    """Make checkpoints of two versions of `masklets`."""
    open_table(dataset.uri, "masklets").create_checkpoint()
    publish(dataset, masklet(THREE, label="new"), run_id="r3")
    open_table(dataset.uri, "masklets").create_checkpoint()
    first, last = sorted(Path(dataset.uri, "masklets", LOG).glob("*.checkpoint.parquet"))
    return first, last


def replace_name(dataset: Dataset, checkpoint: Path) -> None:
    """Replace the name of a file in a checkpoint, which stays readable."""
    name = file_of(dataset, "masklets", ONE).name.encode()
    data = checkpoint.read_bytes()
    assert name in data
    checkpoint.write_bytes(data.replace(name, b"0" * 8 + name[8:]))


def flip_in_footer(dataset: Dataset, checkpoint: Path) -> None:
    checkpoint.write_bytes(flip(checkpoint.read_bytes(), checkpoint.stat().st_size - 6, 3))


DELETE = "delete it and _last_checkpoint, since the entries of the log say the same"


@pytest.mark.parametrize("do", [replace_name, flip_in_footer])
def test_a_damaged_checkpoint(dataset: Dataset, do: Callable[[Dataset, Path], None]) -> None:
    _, last = checkpoints_of(dataset)
    rows = masklets_of(dataset)
    assert not check(dataset.uri, deep=True).findings
    do(dataset, last)
    ended = pvtt_flow("check", dataset.uri, "--deep", "--repair")
    assert (ended.code, ended.out) == (1, f"{last} is damaged; {DELETE}\n")
    if do is flip_in_footer:
        said = f"the checkpoint {last} must be as it was written, got other bytes; {DELETE}"
        assert pvtt_flow("show", dataset.uri).err == f"error: {said}\n"
    last.unlink()
    hint = last.with_name("_last_checkpoint")
    ended = pvtt_flow("check", dataset.uri, "--deep")
    assert ended.out == f"{hint} is damaged; delete it, since Delta does without it\n"
    hint.unlink()
    assert not check(dataset.uri, deep=True).findings
    assert masklets_of(dataset) == rows


def test_a_damaged_checkpoint_whose_entries_are_gone(dataset: Dataset) -> None:
    first, last = checkpoints_of(dataset)
    for entry in first.parent.glob("*.json"):
        if entry.name < first.name:
            entry.unlink()
    assert not check(dataset.uri, deep=True).findings
    for checkpoint, do in ((first, flip_in_footer), (last, replace_name)):
        whole = checkpoint.read_bytes()
        do(dataset, checkpoint)
        (finding,) = check(dataset.uri, deep=True).findings
        assert (finding.uri, finding.video_ids) == (str(checkpoint), ())
        assert "copy it back from a backup, since the entries before it" in finding.problem
        checkpoint.write_bytes(whole)


def test_an_object_of_a_bucket(s3: "S3Server") -> None:
    dataset = Dataset(f"{s3.bucket()}/dataset")
    dataset.ensure()
    publish(dataset, masklet("a"))
    assert not check(dataset.uri, deep=True).findings
    (path,) = open_dataset(dataset.uri).masklets().files
    open_dataset(dataset.uri).masklets().filesystem.handler.fs.rm(path)
    (finding,) = check(dataset.uri).findings
    assert (finding.uri, finding.video_ids) == (f"s3://{path}", ("a",))
