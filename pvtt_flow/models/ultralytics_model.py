"""Load a model with ultralytics, or say in one sentence why it cannot find products.

Ultralytics is kept from downloading files that it knows by name, from installing missing packages
and from writing settings to the home folder.
"""

import ast
import importlib.util
import os
import tempfile
import textwrap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pvtt_flow.errors import ConfigError, PreflightError, PvttFlowError

# Those whose results have upright boxes.
TASKS = ("detect", "segment", "pose")
# Extras of this package that install a library.
_EXTRAS = {"onnxruntime": "onnx", "openvino": "openvino"}
_KEY = "$.detector.weights"
_MAX_REASON_CHARS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class UltralyticsModel:
    """Loaded model whose results have boxes."""

    yolo: Any
    names: Mapping[int, str]
    """Classes by index."""
    image_size_px: int | None
    """Longer side of the input that an exported model was made for; None for a `.pt` file."""
    has_fixed_size: bool
    """True if the model takes no pictures of another size."""
    max_batch_size: int | None
    """Pictures that an exported model takes at once; None without a limit."""


def load_model(path: Path, device: Literal["cpu", "cuda"]) -> UltralyticsModel:
    """Load a `.pt` file, or a model that was exported from one.

    Raises ConfigError for a model of a task without boxes, and PreflightError for a file that
    ultralytics cannot load and for a library that is not installed.
    """
    yolo_class = import_yolo()
    is_export = path.suffix.lower() != ".pt"
    export = export_metadata(path) if is_export else {}
    with explained(path):
        # Without a task, ultralytics guesses that of an exported model by its file name.
        yolo = yolo_class(str(path), task=export.get("task"))
        check_task(path, yolo.task)
        yolo.overrides["device"] = device
        if not is_export and not getattr(yolo.model, "names", None):
            yolo.model.names = {i: f"class{i}" for i in range(yolo.model.model[-1].nc)}
        names = yolo.names
    arguments = export.get("args") or {}
    is_dynamic = bool(arguments.get("dynamic"))
    sides_px = export.get("imgsz")
    return UltralyticsModel(
        yolo=yolo,
        names=names,
        image_size_px=max(sides_px) if sides_px else None,
        has_fixed_size=bool(sides_px) and not is_dynamic,
        max_batch_size=int(export.get("batch", 1)) if is_export and not is_dynamic else None,
    )


def check_library(path: Path, module: str) -> None:
    """Raise PreflightError if the library of an exported model is not installed."""
    if importlib.util.find_spec(module) is None:
        raise _missing_library(path, module)


def check_task(path: Path, task: str) -> None:
    """Raise ConfigError if the results of a model of this task have no upright boxes."""
    if task not in TASKS:
        raise ConfigError(
            f"{_KEY} must be a model of the task {', '.join(TASKS[:-1])} or {TASKS[-1]}, got {path}"
            f" of the task {task}"
        )


def takes_prompts(yolo: Any) -> bool:
    """Return whether a loaded model is a YOLOE, and no prompt-free one, which has its classes."""
    from ultralytics.nn.tasks import YOLOEModel

    model = getattr(yolo, "model", None)
    if not isinstance(model, YOLOEModel):
        return False
    layers: Any = model.model
    return not hasattr(layers[-1], "lrpc")


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn an error of ultralytics or of the library below it into a PreflightError."""
    try:
        yield
    except PvttFlowError:
        raise
    except ImportError as error:
        raise _missing_library(path, error.name or str(error)) from error
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise PreflightError(
            f"{_KEY} must be a detector that ultralytics can load and use, got {path} "
            f"({textwrap.shorten(reason, _MAX_REASON_CHARS, placeholder=' ...')})"
        ) from error


def export_metadata(path: Path) -> dict[str, Any]:
    """Return what ultralytics wrote about an exported model into it; empty if it is of others."""
    import_yolo()
    from ultralytics.nn.backends.base import BaseBackend

    return {key: _value(text) for key, text in BaseBackend.read_metadata(path).items()}


def import_yolo() -> Any:
    """Import the class of ultralytics models, kept from downloads and from the home folder."""
    os.environ["YOLO_CONFIG_DIR"] = _settings_folder().name
    os.environ["YOLO_AUTOINSTALL"] = "false"
    os.environ["YOLO_OFFLINE"] = "true"
    os.environ.setdefault("YOLO_VERBOSE", "false")
    from ultralytics.models import YOLO

    return YOLO


def _value(text: Any) -> Any:
    """Return a value that some formats store as the text of a Python literal."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _missing_library(path: Path, module: str) -> PreflightError:
    extra = _EXTRAS.get(module)
    package = f"pvtt_flow[{extra}]" if extra else module
    return PreflightError(
        f"{_KEY}: {path} needs the library {module}, which is not installed; run pip install "
        f"'{package}' on every machine, or use the .pt file that it was exported from"
    )


@cache
def _settings_folder() -> "tempfile.TemporaryDirectory[str]":
    """Make the folder to which ultralytics writes its settings; it is deleted at exit."""
    return tempfile.TemporaryDirectory(prefix="ultralytics-")
