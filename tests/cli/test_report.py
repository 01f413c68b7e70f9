"""`report`: the page of a real run, of a real dataset, and what it refuses."""

from pathlib import Path

import pytest

from tests.cli.terminal import pvtt_flow
from tests.pipeline.runs import MixedRun
from tests.readers.sample_dataset import Processed, processed
from tests.report.test_render import Outline

PICTURE = 'src="data:image/jpeg;base64,'


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Processed:
    return processed(tmp_path_factory.mktemp("report"))


def test_a_run_has_a_page_with_pictures(mixed_run: MixedRun, tmp_path: Path) -> None:
    output = tmp_path / "report.html"
    ended = pvtt_flow("report", mixed_run.dataset, "--output", output)
    assert ended.code == 0, ended.err
    assert ended.out == f"report: {output}\n"
    page = output.read_text("utf-8")
    assert page.count(PICTURE) >= 3 * 5
    text = Outline(page).text
    records = mixed_run.video_records()
    assert "ok 3 33.3 %" in text
    assert "failed 6 66.7 %" in text
    for record in records.values():
        assert record.uri in text
        if record.failure_kind is not None:
            command = f"pvtt-flow retry {mixed_run.dataset} --kind {record.failure_kind}"
            assert command in text
            assert (record.failure_message or "") in text
    (run_id,) = {record.run_id for record in records.values()}
    assert f"{run_id} ok 9" in text
    assert "Those of the last verdicts." in text
    assert "All 9 videos." in text


def test_pictures_and_videos_can_be_left_out(made: Processed, tmp_path: Path) -> None:
    output = tmp_path / "r.html"
    arguments = ("report", made.uri, "--output", output, "--no-pictures", "--videos", 1)
    assert pvtt_flow(*arguments).code == 0
    page = output.read_text("utf-8")
    assert PICTURE not in page
    assert "1 of 2 videos: the 1 in most doubt." in page


def test_a_version_is_compared_with_an_earlier_one(tmp_path: Path) -> None:
    made = processed(tmp_path)
    assert pvtt_flow("judge", made.uri).code == 0
    output = tmp_path / "r.html"
    ended = pvtt_flow("report", made.uri, "--output", output, "--against", 1, "--no-pictures")
    assert ended.code == 0, ended.err
    text = Outline(output.read_text("utf-8")).text
    assert "Changes from version 1 to 3" in text
    assert "1 videos new" in text


def test_an_earlier_version_has_a_page(made: Processed, tmp_path: Path) -> None:
    output = tmp_path / "r.html"
    ended = pvtt_flow("report", made.uri, "--version", 1, "--output", output, "--no-pictures")
    assert ended.code == 0, ended.err
    text = Outline(output.read_text("utf-8")).text
    assert "Version 1, committed 20" in text
    assert "All 1 videos." in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--version", 99), "must be in [0, 2], got 99"),
        (("--against", 2), "--against must be a version before 2, got 2; list versions with"),
        (("--against", -1), "must be in [0, 2], got -1"),
        (("--output", "."), "--output must be a file, got the folder .; name a file in it"),
        (("--output", "no/where.html"), "--output must be in a folder that exists, got no/where"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(
    made: Processed,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[object, ...],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = pvtt_flow("report", made.uri, "--no-pictures", *arguments)
    assert ended.code == 2
    assert message in ended.err
    assert list(tmp_path.iterdir()) == []


def test_a_dataset_that_is_not_there_is_refused(tmp_path: Path) -> None:
    ended = pvtt_flow("report", tmp_path / "none", "--output", tmp_path / "r.html")
    assert ended.code == 2
    assert str(tmp_path / "none") in ended.err


def test_a_video_that_is_gone_keeps_its_row(tmp_path: Path) -> None:
    made = processed(tmp_path)
    (made.videos / "a.mp4").unlink()
    output = tmp_path / "r.html"
    ended = pvtt_flow("report", made.uri, "--output", output)
    assert ended.code == 0, ended.err
    page = output.read_text("utf-8")
    text = Outline(page).text
    assert "Not all frames can be shown: " in text
    assert f"{made.videos / 'a.mp4'}" in text
    assert page.count(PICTURE) == 6  # of the other one
