"""Product detectors: pictures in, boxes out. The protocol, and ultralytics behind it.

Everything ultralytics does behind one's back is turned off here: downloads when a file name
looks familiar, installs of missing packages, settings in the home folder.
"""

import os
import tempfile
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol

import numpy as np
import yaml
from numpy.typing import NDArray
from pydantic import Field

from pvtt_flow.errors import ConfigError
from pvtt_flow.params import Params
from pvtt_flow.types import Detections

Device = Literal["auto", "cpu", "cuda"]


class DetectorParams(Params):
    """The model that finds products."""

    weights: str = "embedded_detector"
    """`embedded_detector`, or the path of a model that ultralytics reads: `.pt`, `.onnx`, an
    OpenVINO folder, and others."""
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None
    """SHA-256 of the weights file, 64 hexadecimal digits. Required for a `.pt` file of your own,
    which can run code when it is loaded."""
    image_size_px: Annotated[int, Field(ge=32, le=4096)] | None = None
    """Longer side to which pictures are scaled, in pixels; null: the size that the weights were
    trained with."""
    device: Device = "auto"
    """Device of the model; `auto`: CUDA if available, else CPU."""


class Detector(Protocol):
    """What the flow needs of a detector."""

    classes: tuple[str, ...]
    """Every class name it can return."""

    def detect(self, pictures: Sequence[NDArray[np.uint8]]) -> list[Detections]:
        """The detections of each uint8 (H, W, 3) RGB picture, best score first."""
        ...


class YoloDetector:
    """Any ultralytics detection model, resident."""

    # The floor is low because `core.prompts` applies the configured one: what the detector
    # returns here is everything that a threshold could be wanted for.
    _MIN_SCORE = 0.01
    _MAX_DETECTIONS = 100

    def __init__(self, path: Path, params: DetectorParams) -> None:
        self._model = _import_yolo()(str(path), task="detect")
        self._image_size_px = params.image_size_px
        self._device = device_name(params.device)
        self._batch_size = _static_batch_size(path)
        self.classes: tuple[str, ...] = tuple(self._model.names.values())

    def detect(self, pictures: Sequence[NDArray[np.uint8]]) -> list[Detections]:
        """See `Detector.detect`."""
        found: dict[int, Detections] = {}
        for batch in _batches([p.shape for p in pictures], self._batch_size):
            found |= zip(batch, self._detect_batch([pictures[i] for i in batch]), strict=True)
        return [found[i] for i in range(len(pictures))]

    def _detect_batch(self, pictures: Sequence[NDArray[np.uint8]]) -> list[Detections]:
        # ultralytics takes arrays as OpenCV makes them: BGR, contiguous.
        bgr = [np.ascontiguousarray(p[..., ::-1]) for p in pictures]
        size = {} if self._image_size_px is None else {"imgsz": self._image_size_px}
        results = self._model.predict(
            bgr,
            conf=self._MIN_SCORE,
            max_det=self._MAX_DETECTIONS,
            device=self._device,
            verbose=False,
            save=False,
            **size,
        )
        return [_detections(r) for r in results]


def check_classes(detector: Detector, classes: tuple[str, ...] | None) -> None:
    """Refuse a class filter that the detector could never satisfy."""
    unknown = sorted(set(classes or ()) - set(detector.classes))
    if unknown:
        raise ConfigError(
            f"$.detect.classes must be names that the detector knows, got {', '.join(unknown)}; "
            f"it knows: {', '.join(detector.classes)}"
        )


def device_name(device: Device) -> Literal["cpu", "cuda"]:
    """`auto` is CUDA where there is one."""
    if device == "auto":
        import torch

        return "cuda" if torch.cuda.is_available() else "cpu"
    return device


def _import_yolo() -> Any:
    os.environ["YOLO_CONFIG_DIR"] = _settings_folder().name
    os.environ["YOLO_AUTOINSTALL"] = "false"
    os.environ["YOLO_OFFLINE"] = "true"
    os.environ.setdefault("YOLO_VERBOSE", "false")
    from ultralytics.models import YOLO

    return YOLO


@cache
def _settings_folder() -> "tempfile.TemporaryDirectory[str]":
    """Where ultralytics writes its settings on import; gone when this process is."""
    return tempfile.TemporaryDirectory(prefix="ultralytics-")


def _static_batch_size(path: Path) -> int | None:
    """How many pictures an exported model takes at once; None for a model without that limit."""
    if path.suffix in {".pt", ".pth"}:
        return None
    metadata = path / "metadata.yaml"
    if not metadata.is_file():
        return 1
    facts = yaml.safe_load(metadata.read_text())
    return None if facts.get("args", {}).get("dynamic") else int(facts.get("batch", 1))


def _batches(shapes: Sequence[tuple[int, ...]], largest: int | None) -> Iterator[list[int]]:
    """Positions of the pictures that the model takes at once: those of one shape.

    ultralytics pads mixed shapes in another way, and what is seen in a picture must not depend
    on those that happen to be beside it.
    """
    by_shape: dict[tuple[int, ...], list[int]] = {}
    for position, shape in enumerate(shapes):
        by_shape.setdefault(shape, []).append(position)
    for alike in by_shape.values():
        step = largest or len(alike)
        yield from (alike[i : i + step] for i in range(0, len(alike), step))


def _detections(result: Any) -> Detections:
    boxes = result.boxes
    order = np.argsort(-boxes.conf.cpu().numpy(), kind="stable")
    return Detections(
        boxes_xyxy=boxes.xyxy.cpu().numpy().astype(np.float32)[order].reshape(-1, 4),
        scores=boxes.conf.cpu().numpy().astype(np.float32)[order],
        labels=tuple(str(result.names[int(c)]) for c in boxes.cls.cpu().numpy()[order]),
    )
