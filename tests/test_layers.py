"""Who may import whom (README, Layout): the arrows of the architecture, checked on the imports."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "pvtt_flow"
# A module may import the rooms named for its own room, and its own.
MAY_IMPORT = {
    "errors": set(),
    "data": {"errors"},
    "core": {"data", "errors"},
    "media": {"core", "data", "errors"},
    "models": {"core", "data", "errors"},
    "storage": {"core", "data", "errors"},
    "isolation": {"core", "media", "storage", "data", "errors"},
    "review": {"core", "media", "data", "errors"},
    "samples": set(),
    "training": {"core", "media", "models", "data", "errors"},
    "config": {"core", "media", "models", "storage", "data", "errors"},
    "dataset": {"core", "storage", "data", "errors"},
    "readers": {"core", "dataset", "media", "storage", "data", "errors"},
    "stages": {"core", "dataset", "isolation", "media", "models", "storage", "data", "errors"},
    "flow": {
        "config", "core", "dataset", "isolation", "media", "models", "storage", "stages", "data",
        "errors",
    },
    "console": {"flow", "models", "data", "errors"},
    "commands": {
        "console", "review", "flow", "stages", "config", "dataset", "readers", "core", "isolation",
        "media", "models", "storage", "data", "errors", "open_dataset",
    },
    "cli": {"commands", "config", "errors"},
}  # fmt: skip
ONLY_IN = {
    "av": {"media", "training"},
    "torch": {"models", "readers", "training"},
    "sam2": {"models", "training"},
    "ultralytics": {"models", "training"},
    "fsspec": {"storage"},
    "pyarrow": {"dataset", "readers", "storage"},
    "deltalake": {"dataset"},
    "ray": {"flow", "readers"},
    "scenedetect": {"media"},
}


def modules() -> list[Path]:
    return sorted(ROOT.rglob("*.py"))


def room_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_follow_the_arrows(path: Path) -> None:
    room = room_of(path)
    for name in imported(path):
        top, _, rest = name.partition(".")
        if top == "pvtt_flow" and rest and room != "__init__":
            target = rest.split(".")[0]
            allowed = MAY_IMPORT[room] | {room, "__version__"}
            assert target in allowed, f"{path}: {room} must not import {name}"
        if top in ONLY_IN:
            assert room in ONLY_IN[top], f"{path}: only {ONLY_IN[top]} may import {top}"


def test_every_room_has_its_rule() -> None:
    assert {room_of(p) for p in modules()} - {"__init__"} <= MAY_IMPORT.keys()
