"""Documents: what they show works when pasted, and what they name exists."""

import importlib.util
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pyarrow as pa
import pytest
from typer.core import TyperGroup
from typer.main import get_command

from pvtt_flow.cli import app
from pvtt_flow.config.reference import keys
from pvtt_flow.dataset.tables import SCHEMAS
from pvtt_flow.errors import FailureKind
from pvtt_flow.storage.manifest import ManifestPrompt
from tests.pipeline.runs import MixedRun

ROOT = Path(__file__).parents[1]
FOLDERS = (".github", "configs", "infra", "notebooks", "pvtt_flow", "tests")
DOCUMENTS = sorted({ROOT / "README.md", *(d for f in FOLDERS for d in (ROOT / f).rglob("*.md"))})
MAX_README_LINES = 250
# Paths that the project's commands create, or that are the reader's own.
NOT_IN_GIT = ("runs/", ".venv/")


def document_id(value: object) -> str | None:
    return str(value.relative_to(ROOT)) if isinstance(value, Path) else ""


every_document = pytest.mark.parametrize("document", DOCUMENTS, ids=document_id)


def blocks(document: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", document.read_text(), re.DOTALL)


def prose(document: Path) -> str:
    """Return the text outside of code blocks."""
    return re.sub(r"```.*?```", "", document.read_text(), flags=re.DOTALL)


def commands(document: Path) -> Iterator[list[str]]:
    """Yield the words of each command line."""
    for block in blocks(document, "sh"):
        for line in block.replace("\\\n", " ").splitlines():
            for part in re.split(r"\s&&\s|\s\|\s", line):
                if words := shlex.split(part, comments=True):
                    yield words


def our_arguments(words: list[str]) -> list[str] | None:
    """Return the arguments of `pvtt-flow`, also where another command starts it."""
    for index, word in enumerate(words):
        if Path(word).name == "pvtt-flow" and words[:1] != ["kubectl"]:
            return words[index + 1 :]
    return None


def parse(command: Any, arguments: list[str]) -> None:
    """Parse a command line with the command's own options, without running it."""
    while hasattr(command, "commands"):
        assert arguments[0] in command.commands, arguments
        command, arguments = command.commands[arguments[0]], arguments[1:]
    command.make_context(command.name, list(arguments))


@pytest.mark.parametrize(
    ("document", "code"),
    [(document, code) for document in DOCUMENTS for code in blocks(document, "python")],
    ids=document_id,
)
def test_python_runs(
    document: Path, code: str, mixed_run: MixedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    exec(code.replace("runs/quickstart", mixed_run.dataset), {"__name__": "example"})  # noqa: S102


def test_the_readme_is_short_and_has_examples() -> None:
    readme = ROOT / "README.md"
    assert len(readme.read_text().splitlines()) <= MAX_README_LINES
    assert len(blocks(readme, "python")) >= 2
    assert all("runs/quickstart" in code for code in blocks(readme, "python"))
    assert len(blocks(readme, "sh")) >= 4
    named = [arguments for words in commands(readme) if (arguments := our_arguments(words))]
    assert len(named) >= 8


@every_document
def test_commands_exist(document: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for words in commands(document):
        arguments = our_arguments(words)
        if arguments is not None:
            parse(get_command(app), arguments)
        if words[0] == "make":
            assert set(words[1:]) <= targets, words
        if Path(words[0]).name == "python" and words[1] == "-m":
            assert importlib.util.find_spec(words[2]), words


@every_document
def test_commands_in_sentences_exist(document: Path) -> None:
    command = get_command(app)
    assert isinstance(command, TyperGroup)
    known = command.commands
    named = re.findall(r"`pvtt-flow ([a-z]+)", prose(document))
    assert set(named) <= known.keys()


@every_document
def test_links_and_paths_exist(document: Path) -> None:
    text = document.read_text()
    for link in re.findall(r"\]\(([^)#\s]+)(?:#[\w-]*)?\)", text):
        if "://" not in link:
            assert (document.parent / link).exists(), link
    roots = "|".join(re.escape(folder) for folder in (*FOLDERS, ".ci"))
    for path in re.findall(rf"(?<![\w./-])(?:{roots})/[\w./-]*\w", text):
        assert (ROOT / path).exists(), path
    for path in re.findall(r"`([\w./-]+\.(?:py|md|json|yaml|toml))`", text):
        if not path.startswith(NOT_IN_GIT) and "/" in path:
            places = (ROOT / path, document.parent / path, ROOT / "pvtt_flow" / path)
            assert any(place.exists() for place in places), path


@every_document
def test_config_keys_exist(document: Path) -> None:
    known = {key for key, _ in keys()}
    sections = {key.partition(".")[0] for key in known if "." in key}
    named = re.findall(rf"`((?:{'|'.join(sections)})\.[a-z_.]+)[`:=]", document.read_text())
    former = {"tracker.lanes"} if document.name == "CHANGELOG.md" else set()
    files = {name for name in named if name.endswith(".py")}
    assert set(named) - _COLUMNS - former - files <= known, document


# Fields of the tables whose struct has the name of a config section.
_COLUMNS = {"qc.presence", "qc.predicted_iou_mean"}


@every_document
def test_manifest_lines_are_valid(document: Path) -> None:
    for block in blocks(document, "json"):
        row = json.loads(block)
        for prompt in row.get("prompts", ()):
            ManifestPrompt.model_validate(prompt)


def test_the_dataset_readme_has_every_column() -> None:
    text = (ROOT / "pvtt_flow" / "dataset" / "README.md").read_text()
    for table, schema in SCHEMAS.items():
        section = text.partition(f"### `{table}`")[2].partition("\n##")[0]
        rows = re.findall(
            r"^\| `(\w+)` \| ([^|]+) \|", section.partition("\nFields of")[0], re.MULTILINE
        )
        assert [name for name, _ in rows] == schema.names
        for name, described in rows:
            field = schema.field(name)
            assert described.endswith(", null") == field.nullable, name
            if not pa.types.is_nested(field.type):
                assert described.split(",")[0] == str(field.type).replace("double", "float64"), name


def test_the_dataset_readme_explains_every_kind_of_failure() -> None:
    text = (ROOT / "pvtt_flow" / "dataset" / "README.md").read_text()
    section = text.partition("\n## Failures")[2].partition("\n## ")[0]
    table = section.partition("| kind |")[2].partition("\n\n")[0]
    explained = {
        kind
        for cell in re.findall(r"^\| (`[^|]+) \|", table, re.MULTILINE)
        for kind in re.findall(r"\w+", cell)
    }
    # No video has one of these.
    assert explained == {*get_args(FailureKind)} - {"store", "machine"}


def test_the_dataset_readme_has_every_field_of_a_struct() -> None:
    text = (ROOT / "pvtt_flow" / "dataset" / "README.md").read_text()
    for name in ("prompts", "frames", "qc"):
        kind = SCHEMAS["masklets"].field(name).type
        struct = kind.value_type if pa.types.is_list(kind) else kind
        section = text.partition(f"Fields of `{name}`")[2].partition("\nFields of")[0]
        rows = re.findall(r"^\| `(\w+)` \|", section.partition("\n## ")[0], re.MULTILINE)
        assert rows == [field.name for field in struct]
