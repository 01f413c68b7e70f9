"""Evaluation of datasets against truth, as a shell sees it."""

import json
from pathlib import Path

import pytest

from pvtt_flow.storage.manifest import read_manifest
from tests.cli.terminal import pvtt_flow
from tests.dataset.dataset_rows import video_record
from tests.dataset.datasets import new_dataset, publish
from tests.evaluate.annotated import GUESSES, TRUTH, masklets, write_labels


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("truth")
    for name, labels in TRUTH.items():
        write_labels(folder / "Annotations" / "480p" / name, labels)
    return folder


@pytest.fixture(scope="module")
def datasets(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Return one with guesses and one with the truth."""
    made = []
    for source in (GUESSES, TRUTH):
        dataset = new_dataset(tmp_path_factory.mktemp("dataset"))
        publish(dataset, *(m for name, labels in source.items() for m in masklets(name, labels)))
        made.append(dataset.uri)
    return made


def rows(text: str) -> dict[str, list[str]]:
    """Return the cells of a table by those of the first column."""
    lines = [line for line in text.splitlines() if line.startswith(("│", "┃"))]
    cells = [[c.strip() for c in line.replace("┃", "│").split("│")[1:-1]] for line in lines]
    return {row[0]: row[1:] for row in cells}


def test_datasets_side_by_side(
    datasets: list[str], truth: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    ended = pvtt_flow("evaluate", *datasets, "--truth", truth)
    assert ended.code == 0, ended.err
    found = rows(ended.out)
    assert found["dataset"][:2] == ["J&F", "J"]
    guesses, perfect = (found[dataset] for dataset in datasets)
    # J of the two sequences' objects: the means of the benchmark's own evaluator.
    assert guesses[1] == f"{(0.37185 + 0.49221 + 0.60431 + 0.35055 + 0.35879 + 0.23185) / 6:.3f}"
    assert perfect[0] == "1.000 ± 0.000"
    # 99 frames: five objects on 17, and one that comes on frame 4.
    assert perfect[8:] == ["85", "0", "0", "0", "14"]


def test_a_row_for_each_object(
    datasets: list[str], truth: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    (tmp_path / "val.txt").write_text("ball\n")
    chosen = ("--truth", truth, "--sequences", tmp_path / "val.txt")
    ended = pvtt_flow("evaluate", datasets[0], *chosen, "--by", "object")
    found = rows(ended.out)
    assert list(found)[1:] == ["ball 1", "ball 2", "ball 3"]
    assert found["ball 2"][1:4] == ["0.492", "0.471", "0.567"]


def test_json(datasets: list[str], truth: Path) -> None:
    ended = pvtt_flow("evaluate", datasets[0], "--truth", truth, "--json")
    (dataset,) = json.loads(ended.out)
    assert dataset["set"]["objects"] == 6
    ball, cup = dataset["sequences"]
    assert (ball["matched_by"], ball["left_out_frames"]) == ("object_id", 0)
    assert ball["jf_standard_error"] is None, "of one sequence"
    assert [each["object_id"] for each in cup["objects"]] == [1, 2, 3]
    assert cup["objects"][2]["frames"] == 15


def test_videos_without_masklets_are_told(truth: Path, tmp_path: Path) -> None:
    dataset = new_dataset(tmp_path)
    failed = [video_record(name, status="failed") for name in TRUTH]
    dataset.commit(dataset.write_masklets(()), failed, run_id="r1", expected_run_ids={})
    ended = pvtt_flow("evaluate", dataset.uri, "--truth", truth)
    assert (
        "2 of 2 sequences have no masklet of a true object, and count with empty masks" in ended.out
    )
    assert "matched" not in ended.out


def test_what_cannot_be_compared_is_refused(
    datasets: list[str], truth: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    write_labels(other / "dog", TRUTH["ball"])
    for arguments, message in (
        (("--truth", other), "each sequence must have a video of its name, but 1 of 1 have none"),
        (("--truth", truth, "--sequences", tmp_path / "no.txt"), "--sequences must be a text file"),
        (("--truth", tmp_path / "no"), "--truth must be a folder of annotated sequences"),
    ):
        ended = pvtt_flow("evaluate", datasets[0], *arguments)
        assert ended.code == 2
        assert message in ended.err


def test_prompts_are_a_manifest(truth: Path, tmp_path: Path) -> None:
    for name in TRUTH:
        (tmp_path / f"{name}.mp4").touch()
    arguments = ("prompts", "--truth", truth, "--videos", tmp_path, "--kind", "box", "--to")
    ended = pvtt_flow(*arguments, tmp_path / "manifest.jsonl")
    assert ended.out == f"2 sequences in {tmp_path / 'manifest.jsonl'}\n"
    entries = read_manifest(str(tmp_path / "manifest.jsonl"))
    assert [len(entry.prompts) for entry in entries] == [3, 3]
    assert pvtt_flow(*arguments, tmp_path / "manifest.csv").code == 2
    assert pvtt_flow(*arguments, tmp_path / "nowhere" / "manifest.jsonl").code == 2
