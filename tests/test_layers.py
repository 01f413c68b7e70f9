"""Import rules of the package (pvtt_flow/README.md), checked on every import statement."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "pvtt_flow"
# A module may import the rooms named for the innermost room that it is in, and that room itself.
# `video` decodes what it is given; only its worker processes open files, so only they see storage.
BASE = {"types", "errors", "params"}
MAY_IMPORT = {
    "errors": set(),
    "params": set(),
    "types": {"errors"},
    "core": BASE,
    "storage": {"core"} | BASE,
    "video": {"core"} | BASE,
    "video.worker": {"core", "storage", "video"} | BASE,
    "models": {"core"} | BASE,
    "review": {"core", "video"} | BASE,
    "report": {"core", "dataset", "readers", "review", "storage", "video"} | BASE,
    "evaluate": {"core", "readers"} | BASE,
    "samples": set(),
    "training": {"core", "evaluate", "models", "stages", "video"} | BASE,
    "config": {"core", "models", "storage", "video"} | BASE,
    "dataset": {"core", "storage"} | BASE,
    "readers": {"core", "dataset", "storage", "video"} | BASE,
    "export": {
        "config", "core", "dataset", "open_dataset", "readers", "storage", "video",
    } | BASE,
    "stages": {"config", "core", "dataset", "models", "storage", "video"} | BASE,
    "pipeline": {"config", "core", "dataset", "models", "stages", "storage", "video"} | BASE,
    "cli": {
        "config", "core", "dataset", "evaluate", "export", "export_dataset", "models",
        "open_dataset", "pipeline", "readers", "report", "review", "stages", "storage", "video",
    } | BASE,
}  # fmt: skip
ONLY_IN = {
    "av": {"video", "training"},
    "bpy": {"training"},
    "cutie": {"models"},
    "cv2": {"core", "evaluate", "export", "models", "review", "video", "training"},
    "deltalake": {"dataset"},
    "fsspec": {"storage"},
    "jinja2": {"report"},
    "mathutils": {"training"},
    "onnxruntime": {"models"},
    "open_clip": {"models"},
    "PIL": {"evaluate", "export", "models", "review", "video", "training"},
    "pyarrow": {"dataset", "export", "readers", "storage"},
    "pycocotools": {"core"},
    "pydantic": {"config", "core", "models", "params", "storage", "video"},
    "ray": {"pipeline", "readers"},
    "rerun": {"export"},
    "sam2": {"models", "training"},
    "scipy": {"core", "evaluate", "training"},
    "scenedetect": {"video"},
    "torch": {"models", "readers", "training"},
    "ultralytics": {"models", "training"},
}


def modules() -> list[Path]:
    return sorted(ROOT.rglob("*.py"))


def room_of(path: Path) -> str:
    """The innermost room with a rule of its own, as `video.worker`."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    names = [".".join(parts[:n]) for n in range(len(parts), 0, -1)]
    return next((name for name in names if name in MAY_IMPORT), parts[0])


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
            allowed = MAY_IMPORT[room] | {room.split(".")[0], "__version__"}
            assert target in allowed, f"{path}: {room} must not import {name}"
        if top in ONLY_IN:
            assert room.split(".")[0] in ONLY_IN[top], (
                f"{path}: only {ONLY_IN[top]} may import {top}"
            )


def test_every_room_has_its_rule() -> None:
    assert {room_of(p) for p in modules()} - {"__init__"} <= MAY_IMPORT.keys()
