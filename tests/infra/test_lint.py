"""The linters have nothing to say of infra/, and would say it."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.infra.manifests import INFRA

BIN = Path(sys.executable).parent
HADOLINT = (str(BIN / "hadolint"), "-")
YAMLLINT = (
    str(BIN / "yamllint"),
    "--strict",
    "--config-data={extends: default, rules: {document-start: disable, line-length: {max: 100}}}",
    "-",
)


def lint(command: tuple[str, ...], text: str) -> str:
    """What a linter says of a file; nothing when it is content."""
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    return said or (f"{command[0]} exited with {done.returncode}" if done.returncode else "")


@pytest.mark.parametrize("path", sorted(INFRA.glob("*.yaml")), ids=lambda path: path.name)
def test_yaml(path: Path) -> None:
    assert lint(YAMLLINT, path.read_text()) == ""


def test_dockerfile() -> None:
    assert lint(HADOLINT, (INFRA / "Dockerfile").read_text()) == ""


def test_a_fault_is_named() -> None:
    assert "duplication of key" in lint(YAMLLINT, "a: 1\na: 2\n")
    assert "DL3006" in lint(HADOLINT, "FROM python\n")
    dockerfile = (INFRA / "Dockerfile").read_text()
    assert "DL3008" in lint(HADOLINT, dockerfile.replace("# hadolint ignore=DL3008", "#"))
