"""The linters accept infra/ and the schema, and refuse faulty copies."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.infra.manifests import INFRA, SCHEMA

BIN = Path(sys.executable).parent
HADOLINT = (str(BIN / "hadolint"), "-")
RULES = "{extends: default, rules: {document-start: disable, line-length: {max: 100}}}"
YAMLLINT = (str(BIN / "yamllint"), "--strict", f"--config-data={RULES}", "-")
CHECK_JSONSCHEMA = str(BIN / "check-jsonschema")


def lint(*command: str, text: str = "") -> str:
    """Return what a linter prints and its exit code; an empty string if it accepts the text."""
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    return f"{done.stdout}{done.stderr}{done.returncode}" if done.returncode else ""


@pytest.mark.parametrize("path", [*sorted(INFRA.glob("*.yaml")), SCHEMA], ids=str)
def test_yaml(path: Path) -> None:
    assert lint(*YAMLLINT, text=path.read_text()) == ""


def test_the_schema_is_one_and_the_command_in_its_head_accepts_the_rayjob() -> None:
    assert lint(CHECK_JSONSCHEMA, "--check-metaschema", str(SCHEMA)) == ""
    assert lint(CHECK_JSONSCHEMA, "--schemafile", str(SCHEMA), str(INFRA / "rayjob.yaml")) == ""


def test_dockerfile() -> None:
    assert lint(*HADOLINT, text=(INFRA / "Dockerfile").read_text()) == ""


def test_a_fault_is_named() -> None:
    assert "duplication of key" in lint(*YAMLLINT, text="a: 1\na: 2\n")
    assert "DL3006" in lint(*HADOLINT, text="FROM python\n")
    dockerfile = (INFRA / "Dockerfile").read_text()
    assert "DL3008" in lint(*HADOLINT, text=dockerfile.replace("# hadolint ignore=DL3008", "#"))
