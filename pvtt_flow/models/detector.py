"""Product detectors: the protocol, and ultralytics models behind it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from pvtt_flow.core.products import DetectParams
from pvtt_flow.errors import ConfigError
from pvtt_flow.models.ultralytics_model import (
    UltralyticsModel,
    check_library,
    check_task,
    explained,
    export_metadata,
    load_model,
)
from pvtt_flow.params import Params
from pvtt_flow.types import Detections

Device = Literal["auto", "cpu", "cuda"]
Teach = Callable[[Any], Sequence[str]]
"""Makes prompts the classes of a loaded ultralytics model, and returns their names."""


class DetectorParams(Params):
    """The model that finds products."""

    weights: str = "embedded_detector"
    """`embedded_detector`, another name that `pvtt-flow models list` shows, or the path of a model
    that ultralytics reads (`.pt`, `.onnx`, an OpenVINO folder, and others) or the uri of its file
    or OpenVINO folder (`best_openvino_model`, with `best.xml`) in a bucket. Other files than `.pt`
    need their library (extras `onnx` and `openvino`). Models of the tasks detect, segment and pose
    have boxes."""
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None
    """SHA-256 of the weights file, 64 hexadecimal digits. Required for a `.pt` file of your own,
    which can run code when it is loaded."""
    image_size_px: Annotated[int, Field(ge=32, le=4096)] | None = None
    """Longer side to which pictures are scaled, in pixels; null: the size that the weights were
    trained with."""
    device: Device = "auto"
    """Device of the model; `auto`: CUDA if available, else CPU."""


class Detector(Protocol):
    """Detector protocol of the pipeline: pictures in, boxes out."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of all classes that the detector can return."""
        ...

    def detect(self, pictures: Sequence[NDArray[np.uint8]]) -> list[Detections]:
        """Return the detections in each uint8 (H, W, 3) RGB picture, best score first."""
        ...


class YoloDetector:
    """Resident ultralytics detection model."""

    _MIN_SCORE = 0.01
    # A limit on memory: a segmentation model makes a mask for each. Which products are kept is
    # decided by `core.products`, which must see them all.
    _MAX_DETECTIONS = 3000

    def __init__(
        self,
        path: Path,
        params: DetectorParams,
        wanted: DetectParams | None = None,
        teach: Teach | None = None,
    ) -> None:
        """Load a model; `wanted` leaves out detections of other classes and lower scores.

        `teach` gives it the classes that are wanted. Raises what `load_model` and `teach` raise,
        and ConfigError for another size than that of the export.
        """
        self._device = device_name(params.device)
        self._model = load_model(path, self._device)
        if teach is not None:
            taught = dict(enumerate(teach(self._model.yolo)))
            self._model = replace(self._model, names=taught)
        self._image_size_px = _image_size(path, self._model, params.image_size_px)
        self.classes: tuple[str, ...] = tuple(self._model.names.values())
        self._filter: dict[str, Any] = {"conf": self._MIN_SCORE}
        if wanted is not None:
            # Ultralytics asks for more than `conf`, and a product for `min_score` at least.
            self._filter["conf"] = max(self._MIN_SCORE, wanted.min_score * (1 - 1e-6))
            # Of overlapping boxes of several prompts, the likeliest counts.
            self._filter["agnostic_nms"] = teach is not None
            if wanted.classes is not None:
                names = self._model.names.items()
                self._filter["classes"] = [i for i, name in names if name in wanted.classes]

    def detect(self, pictures: Sequence[NDArray[np.uint8]]) -> list[Detections]:
        """See `Detector.detect`."""
        by_index: dict[int, Detections] = {}
        for batch in _batches([p.shape for p in pictures], self._model.max_batch_size):
            by_index |= zip(batch, self._detect_batch([pictures[i] for i in batch]), strict=True)
        return [by_index[i] for i in range(len(pictures))]

    def _detect_batch(self, pictures: Sequence[NDArray[np.uint8]]) -> list[Detections]:
        """Return the detections of a batch, in halves if it does not fit into the CUDA memory."""
        import torch

        try:
            return self._predict(pictures)
        except torch.OutOfMemoryError:
            if len(pictures) == 1:
                raise
        # After the `except` block, which keeps the tensors of the failed batch alive.
        torch.cuda.empty_cache()
        middle = len(pictures) // 2
        return self._detect_batch(pictures[:middle]) + self._detect_batch(pictures[middle:])

    def _predict(self, pictures: Sequence[NDArray[np.uint8]]) -> list[Detections]:
        # Ultralytics expects contiguous BGR arrays, as OpenCV makes them.
        bgr = [np.ascontiguousarray(p[..., ::-1]) for p in pictures]
        size = {} if self._image_size_px is None else {"imgsz": self._image_size_px}
        results = self._model.yolo.predict(
            bgr,
            max_det=self._MAX_DETECTIONS,
            device=self._device,
            verbose=False,
            save=False,
            **self._filter,
            **size,
        )
        return [_detections(r) for r in results]


def try_detector(path: Path, params: DetectorParams) -> None:
    """Load a model on the CPU and show it a black picture.

    Raises ConfigError or PreflightError if it cannot be used. Of a TensorRT engine, which needs its
    GPU, only the library and the task are checked.
    """
    if path.suffix.lower() == ".engine":
        check_library(path, "tensorrt")
        check_task(path, export_metadata(path).get("task", "detect"))
        return
    detector = YoloDetector(path, params.model_copy(update={"device": "cpu"}))
    with explained(path):
        detector.detect([np.zeros((64, 64, 3), np.uint8)])


def check_classes(detector: Detector, classes: tuple[str, ...] | None) -> None:
    """Raise ConfigError for classes that the detector cannot return."""
    unknown = sorted(set(classes or ()) - set(detector.classes))
    if unknown:
        raise ConfigError(
            f"$.detect.classes must be names that the detector knows, got {', '.join(unknown)}; "
            f"it knows: {', '.join(detector.classes)}"
        )


def device_name(device: Device) -> Literal["cpu", "cuda"]:
    """Return the device; `auto` is CUDA if available, else CPU."""
    if device == "auto":
        import torch

        return "cuda" if torch.cuda.is_available() else "cpu"
    return device


def _image_size(path: Path, model: UltralyticsModel, wanted_px: int | None) -> int | None:
    if model.has_fixed_size and wanted_px not in {None, model.image_size_px}:
        raise ConfigError(
            f"$.detector.image_size_px must be {model.image_size_px} or null for {path}, which was "
            f"exported with that size, got {wanted_px}"
        )
    return wanted_px or model.image_size_px


def _batches(shapes: Sequence[tuple[int, ...]], max_size: int | None) -> Iterator[list[int]]:
    """Yield the indices of each batch; pictures of a batch have the same shape.

    Ultralytics pads batches of mixed shapes differently, and the detections in a picture must not
    depend on the other pictures.
    """
    by_shape: dict[tuple[int, ...], list[int]] = {}
    for index, shape in enumerate(shapes):
        by_shape.setdefault(shape, []).append(index)
    for indices in by_shape.values():
        size = max_size or len(indices)
        yield from (indices[i : i + size] for i in range(0, len(indices), size))


def _detections(result: Any) -> Detections:
    boxes = result.boxes
    order = np.argsort(-boxes.conf.cpu().numpy(), kind="stable")
    return Detections(
        boxes_xyxy=boxes.xyxy.cpu().numpy().astype(np.float32)[order].reshape(-1, 4),
        scores=boxes.conf.cpu().numpy().astype(np.float32)[order],
        labels=tuple(
            # Exported models may know fewer names than classes.
            str(result.names.get(int(c), f"class{int(c)}"))
            for c in boxes.cls.cpu().numpy()[order]
        ),
    )
