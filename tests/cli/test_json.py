"""`--json`: the commands that have it, and that they print nothing else."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from pvtt_flow.cli import app
from pvtt_flow.models import checkpoints
from tests.cli.terminal import pvtt_flow
from tests.dataset.dataset_rows import video_record
from tests.dataset.datasets import new_dataset, publish, publish_videos
from tests.evaluate.annotated import GUESSES, masklets, write_labels
from tests.pipeline.runs import sample, write_config

# Arguments of each command that has `--json`, for the dataset below; several where they differ.
WITH = {
    "check": ["{d}", "{d} --deep", "{d} --repair"],
    "clear": ["{d} blue", "{d} --gone"],
    "compact": ["{d}"],
    "config schema": [],
    "config show": ["{config}"],
    "diff": ["{d} 0 2"],
    "evaluate": ["{d} --truth {truth}"],
    "fitness": ["{d}", "{d} --list"],
    "formats": [""],
    "history": ["{d}"],
    "judge": ["{d}", "{d} --set qc.reject_probability=1"],
    "list": ["{d}", "{d} --gone"],
    "models fetch": ["embedded_tracker"],
    "models list": [""],
    "models verify": [""],
    "plan": ["{config}", "{config} --list"],
    "profiles": [""],
    "relocate": ["{d} /videos /films --dry-run", "{d} /videos /films"],
    "restore": ["{d} 1"],
    "retry": ["{d} --all", "{d} red"],
    "show": ["{d}", "{d} lost", "{d} red"],
    "upgrade": ["{d}"],
    "vacuum": ["{d}", "{d} --dry-run"],
    "validate": ["{bundle} --profile diffueraser"],
}
# They write files, of which `run` and `export` write JSON: a record of the run, and `export.json`.
WITHOUT = {"debug", "export", "preview", "prompts", "report", "run", "submit"}
# A line for each row, as long as the table is.
IN_LINES = {"fitness --list", "list"}


def commands(group: TyperGroup, *names: str) -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from commands(command, *names, name)
        else:
            yield " ".join((*names, name)), command


def test_each_command_has_it_or_has_a_reason() -> None:
    group = get_command(app)
    assert isinstance(group, TyperGroup)
    found = dict(commands(group))
    having = {n for n, c in found.items() if any("--json" in p.opts for p in c.params)}
    assert having == WITH.keys() - {"config schema"}, "which prints JSON in any case"
    assert found.keys() - having == {*WITHOUT, "config schema"}


@pytest.fixture
def names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """Make what the arguments name; a control character and a quote are in a uri."""
    monkeypatch.setenv("PVTT_FLOW_MODELS", str(tmp_path / "models"))
    dataset = new_dataset(tmp_path)
    for name, labels in GUESSES.items():
        found = list(masklets(name, labels))
        publish(dataset, *found, num_masklets=len(found))
    publish_videos(dataset, ("red-mug", "blue-mug"))
    failure = {"failure_kind": "unreadable", "failure_stage": "inspect", "num_masklets": 0}
    uri = '/videos/\x1b"lost.mp4'
    lost = video_record("lost", uri=uri, run_id="r2", status="failed", **failure)
    dataset.commit((), [lost], run_id="r2")
    videos = tmp_path / "videos"
    videos.mkdir()
    shutil.copy(sample("one_product.mp4"), videos)
    for name, labels in GUESSES.items():
        write_labels(tmp_path / "truth" / "Annotations" / "480p" / name, labels)
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "bundle.json").write_text('{"missing": {}, "sha256": {}}')
    return {
        "d": Path(dataset.uri),
        "config": write_config(tmp_path / "config.yaml", videos, dataset.uri),
        "truth": tmp_path / "truth",
        "bundle": tmp_path / "bundle",
    }


@pytest.mark.parametrize(
    ("command", "arguments"), [(name, each) for name, many in WITH.items() for each in many]
)
def test_standard_output_is_json_alone(
    names: dict[str, Path], command: str, arguments: str
) -> None:
    values = arguments.format(**names).split()
    ended = pvtt_flow(*command.split(), *values, "--json")
    assert ended.code == (1 if command == "validate" else 0), ended.err
    is_in_lines = command in IN_LINES or f"{command} {arguments[4:]}" in IN_LINES
    texts = ended.out.splitlines() if is_in_lines else [ended.out]
    for text in texts:
        json.loads(text, parse_constant=refuse)


def refuse(constant: str) -> None:
    raise AssertionError(f"JSON has no {constant}")


def test_damage_is_json_with_the_same_exit_code(names: dict[str, Path]) -> None:
    file = next((names["d"] / "masklets").rglob("*.parquet"))
    file.unlink()
    ended = pvtt_flow("check", names["d"], "--json")
    found = json.loads(ended.out)
    assert (ended.code, found["repaired"]) == (1, None)
    assert [Path(finding["uri"]).name for finding in found["findings"]] == [file.name]
    ended = pvtt_flow("check", names["d"], "--repair", "--json")
    repaired = json.loads(ended.out)["repaired"]
    assert (ended.code, repaired["video_ids"]) == (0, found["lost_video_ids"])
    assert repaired["version"] == found["version"] + 1


def test_wrong_weights_are_json_with_the_same_exit_code(tmp_path: Path) -> None:
    wrong = checkpoints.known()["sam2.1_hiera_tiny"]
    (tmp_path / wrong.file_name).write_bytes(b"half of it")
    ended = pvtt_flow("models", "verify", "--models", tmp_path, "--json")
    errors = {row["name"]: row["error"] for row in json.loads(ended.out)}
    assert ended.code == 1
    assert errors["embedded_tracker"] is None
    assert f"must have sha256 {wrong.sha256}" in errors[wrong.name]


def test_results_of_commands_that_change_a_dataset(names: dict[str, Path]) -> None:
    def done(*arguments: object) -> Any:
        return json.loads(pvtt_flow(*arguments, "--json").out)

    dataset = names["d"]
    assert done("retry", dataset, "red") == {"version": 4, "video_ids": []}
    assert done("retry", dataset, "--all") == {"version": 5, "video_ids": ["lost"]}
    assert done("clear", dataset, "red") == {
        "version": 6, "video_ids": ["red-mug"], "masklets": 1,
    }  # fmt: skip
    assert done("restore", dataset, 5) == {"version": 7, "restored_version": 5}
    judged = done("judge", dataset, "--set", "qc.reject_probability=1")
    assert judged["thresholds"]["reject_probability"] == 1
    assert judged["verdicts"][0].keys() == {"before", "after", "count"}
    newest, *_, oldest = done("history", dataset)
    assert (newest["version"], newest["operation"], oldest["version"]) == (8, "judge", 0)
    assert done("diff", dataset, 5, 6)["removed"] == ["/videos/red-mug.mp4"]
