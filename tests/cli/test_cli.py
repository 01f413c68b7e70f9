"""The command line: what it costs to ask for help, and how it refuses."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pvtt_flow import __version__
from tests.cli.terminal import pvtt_flow
from tests.pipeline.runs import num_processed, sample, write_config

HEAVY = ("ray", "torch", "ultralytics", "sam2", "pyarrow", "deltalake", "duckdb", "numpy",
         "cv2", "av", "fsspec", "rich.console")  # fmt: skip
SCRIPT = """
import sys
from pvtt_flow.cli import main
try:
    main()
except SystemExit as ended:
    assert ended.code == 0
print("imported:", *(name for name in {heavy} if name in sys.modules))
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return write_config(tmp_path / "config.yaml", sample("one_product.mp4"), tmp_path / "dataset")


@pytest.mark.parametrize(
    ("command", "expected", "heavy"),
    [
        ("", "Turn a bucket of product videos into a dataset of masklets.", (*HEAVY, "pydantic")),
        # Typer itself imports pydantic to read a command's options.
        ("run", "--dry-run", HEAVY),
        ("models", "verify", HEAVY),
    ],
)
def test_help_imports_nothing_heavy(command: str, expected: str, heavy: tuple[str, ...]) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(heavy=heavy), *command.split(), "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert expected in ended.stdout
    assert ended.stdout.splitlines()[-1] == "imported:"


@pytest.mark.parametrize("command", [(), ("models",), ("config",)])
def test_summaries_of_commands_are_whole_sentences(
    monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    monkeypatch.setattr(shutil, "get_terminal_size", lambda: os.terminal_size((80, 24)))
    shown = pvtt_flow(*command, "--help")
    assert shown.code == 0
    summaries = shown.out.partition("Commands:\n")[2].partition("\n\n")[0].splitlines()
    assert len(summaries) > 1
    for summary in summaries:
        assert summary.endswith("."), summary
        assert not summary.endswith("..."), summary


def test_version() -> None:
    shown = pvtt_flow("--version")
    assert (shown.code, shown.out) == (0, f"pvtt-flow {__version__}\n")


def test_config_show_tells_defaults_and_overrides(config: Path) -> None:
    ended = pvtt_flow("config", "show", config, "--set", "detect.max_products=3")
    assert ended.code == 0
    shown = yaml.safe_load(ended.out)
    assert shown["detect"]["max_products"] == 3
    assert shown["detect"]["max_iou"] == 0.7
    assert shown["input"]["uri"] == str(sample("one_product.mp4"))


def test_config_schema_is_a_json_schema() -> None:
    ended = pvtt_flow("config", "schema")
    assert ended.code == 0
    schema = json.loads(ended.out)
    assert schema["required"] == ["input", "output"]
    assert schema["additionalProperties"] is False


def test_a_dry_run_only_plans(config: Path, tmp_path: Path) -> None:
    ended = pvtt_flow("run", config, "--dry-run")
    assert ended.code == 0
    assert [word.strip() for word in ended.out.splitlines()[-2].split("│")[1:-1]] == [
        "to process", "1", f"about {num_processed(sample('one_product.mp4'))} frames",
    ]  # fmt: skip
    assert pvtt_flow("plan", config).out == ended.out
    assert not (tmp_path / "dataset").exists()


def test_the_limit_is_part_of_the_plan(config: Path) -> None:
    ended = pvtt_flow("plan", config, "--limit", "0", "--set", f"input.uri={sample('')}")
    assert "to process" in ended.out
    assert "about 0 frames" in ended.out


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["detect.min_score=1.5"], "$.detect.min_score must be in [0, 1], got 1.5"),
        (["detect.min_scor=1"], "$.detect.min_scor is not a known key; did you mean min_score?"),
        (["input.uri=/nowhere"], "$.input.uri: no videos at /nowhere; correct the uri"),
        (["detector.weights=/nowhere.onnx"], "no weights at /nowhere.onnx; put them there"),
        (["tracker.weights=sam3"], "no weights at sam3; put them there or change $.tracker"),
        (
            ["tracker.weights=embedded_detector"],
            "$.tracker.weights must be a SAM 2, got embedded_detector, a detector",
        ),
    ],
)
@pytest.mark.parametrize("command", ["run", "plan"])
def test_a_run_that_cannot_start_says_why(
    config: Path, tmp_path: Path, command: str, settings: list[str], message: str
) -> None:
    ended = pvtt_flow(command, config, *(f"--set={setting}" for setting in settings))
    assert ended.code == 2
    assert ended.err.startswith(f"error: {message}")
    assert "Traceback" not in ended.err
    assert ended.out == ""
    assert not (tmp_path / "dataset").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            ["resources.propagate.actors=999"],
            "lower $.resources.propagate.actors or $.resources.propagate.num_cpus, or run on a ",
        ),
        (
            ["detect.classes=[teapot]"],
            "$.detect.classes must be names that the detector knows, got teapot; it knows: ",
        ),
    ],
)
def test_a_run_is_refused_before_any_work(
    config: Path, tmp_path: Path, settings: list[str], message: str
) -> None:
    ended = pvtt_flow("run", config, *(f"--set={setting}" for setting in settings))
    assert ended.code == 2, ended.out + ended.err
    assert ended.err.startswith("error: ")
    assert message in ended.err
    assert "Traceback" not in ended.err
    assert not (tmp_path / "dataset").exists()


def test_a_config_that_is_not_there(tmp_path: Path) -> None:
    ended = pvtt_flow("run", tmp_path / "no.yaml")
    assert (ended.code, ended.err) == (2, f"error: config file not found: {tmp_path / 'no.yaml'}\n")


@pytest.mark.parametrize("command", [("show",), ("preview", "mug")])
def test_a_dataset_that_is_not_there(tmp_path: Path, command: tuple[str, ...]) -> None:
    name, *rest = command
    ended = pvtt_flow(name, tmp_path / "none", *rest)
    assert ended.code == 2
    assert ended.err.startswith(f"error: no dataset at {tmp_path / 'none'}")
    assert not (tmp_path / "none").exists()


def test_an_unknown_command_is_a_usage_error() -> None:
    ended = pvtt_flow("segment")
    assert ended.code == 2
    assert "No such command 'segment'" in ended.err
