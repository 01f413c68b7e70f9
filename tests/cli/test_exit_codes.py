"""Exit codes: one meaning each, told by `--help` and the README."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import pvtt_flow as package
from pvtt_flow import errors
from pvtt_flow.cli.exit_codes import MEANINGS, ExitCode, code_of
from tests.cli.terminal import pvtt_flow

BUG = """
import importlib
app = importlib.import_module("pvtt_flow.cli.app")
app.main = lambda: {}[0]
app.command()
"""


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.DataError("not_a_video", "x"), 1),
        (errors.DamageError("x"), 1),
        (errors.ConfigError("x"), 2),
        (errors.PreflightError("x"), 2),
        (errors.StoreError("x"), 3),
        (errors.ClusterError("x"), 3),
        (errors.MachineError("x"), 3),
        (ValueError("x"), 70),
    ],
)
def test_every_family_of_errors_has_a_code(error: Exception, code: int) -> None:
    assert code_of(error) == code


def test_no_family_of_errors_is_a_bug() -> None:
    families = errors.PvttFlowError.__subclasses__()
    assert len(families) == 6
    for family in families:
        arguments = ("internal", "x") if family is errors.DataError else ("x",)
        assert code_of(family(*arguments)) != ExitCode.BUG, family


def test_help_and_readme_tell_the_meanings() -> None:
    wanted = [(str(int(code)), meaning) for code, meaning in MEANINGS.items()]
    assert {code for code, _ in wanted} == {str(int(code)) for code in ExitCode}
    shown = pvtt_flow("--help").out.partition("Exit codes:\n")[2]
    assert re.findall(r"^\s+(\d+) +(.*)$", shown, re.MULTILINE) == wanted
    readme = Path(package.__path__[0], "cli", "README.md").read_text()
    assert re.findall(r"^\| (\d+) \| (.*) \|$", readme, re.MULTILINE) == wanted


def test_a_bug_has_its_traceback_and_a_code_of_its_own() -> None:
    # The process skips the teardown of Python, so its output must have been flushed.
    ended = subprocess.run(
        [sys.executable, "-c", BUG],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONUNBUFFERED": ""},
    )
    assert ended.returncode == 70, ended.stderr
    assert ended.stderr.startswith("Traceback (most recent call last):\n")
    assert ended.stderr.endswith("KeyError: 0\n")


STARTS_RAY = """
import importlib
app = importlib.import_module("pvtt_flow.cli.app")

def main():
    import pvtt_flow.pipeline.process
    from ray._private import auto_init_hook
    print(auto_init_hook.enable_auto_connect)

app.main = main
app.command()
"""


def test_no_thread_starts_another_ray() -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    ended = subprocess.run(
        [sys.executable, "-c", STARTS_RAY], env=env, capture_output=True, text=True, check=True
    )
    assert ended.stdout == "False\n", "as Ray's module for it was when the run's modules came"
