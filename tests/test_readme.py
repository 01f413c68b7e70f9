"""What the README shows works when pasted."""

import re
from pathlib import Path

import pytest
from typer.main import get_command

from pvtt_flow.cli import app
from tests.pipeline.runs import MixedRun

README = (Path(__file__).parents[1] / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize("code", blocks("python"))
def test_python(code: str, mixed_run: MixedRun) -> None:
    assert "runs/quickstart" in code
    exec(code.replace("runs/quickstart", mixed_run.dataset), {})  # noqa: S102


def test_there_is_something_to_paste() -> None:
    assert len(blocks("python")) >= 2
    assert len(blocks("sh")) >= 4


def test_commands_and_paths_exist() -> None:
    shell = "\n".join(blocks("sh"))
    known = get_command(app).commands  # type: ignore[attr-defined]
    named = set(re.findall(r"pvtt-flow ([a-z]+)", shell))
    assert named
    assert named <= known.keys()
    root = Path(__file__).parents[1]
    makefile = (root / "Makefile").read_text()
    for target in re.findall(r"^make ([a-z-]+)", shell, re.MULTILINE):
        assert f"\n{target}:" in makefile
    for path in re.findall(r"(?:configs|infra|pvtt_flow)/[\w./-]+", README):
        assert (root / path).exists(), path
