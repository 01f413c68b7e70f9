"""Weights of every task, format and state, before a run."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from pvtt_flow.errors import ConfigError, PreflightError
from pvtt_flow.models.checkpoints import embedded_file
from pvtt_flow.models.detector import DetectorParams, YoloDetector, try_detector
from pvtt_flow.models.ultralytics_model import import_yolo
from tests.models.test_yolo_detector import SAMPLES, first_frame
from tests.models.weights import detector_of_task, detector_of_two_classes, embedded_checkpoint

CPU = DetectorParams(device="cpu")


@pytest.fixture(scope="module")
def picture() -> Any:
    """Return a square picture of products, for which no model pads its input."""
    return np.ascontiguousarray(first_frame(SAMPLES / "two_products.mp4")[:, 100:370])


@pytest.fixture(scope="module")
def segmenter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return detector_of_task(tmp_path_factory.mktemp("segmenter") / "best.pt", "seg")


@pytest.fixture(scope="module")
def exported(segmenter: Path) -> Path:
    """Return the OpenVINO folder of the segmenter."""
    return Path(import_yolo()(str(segmenter)).export(format="openvino", imgsz=256, verbose=False))


def test_an_exported_segmentation_model_gives_the_boxes_of_its_pt(
    segmenter: Path, exported: Path, picture: Any
) -> None:
    (of_pt,) = YoloDetector(segmenter, CPU).detect([picture])
    (of_export,) = YoloDetector(exported, CPU).detect([picture])
    assert (of_pt.scores > 0.5).sum() == 2
    assert of_export.labels == of_pt.labels
    np.testing.assert_allclose(of_export.scores, of_pt.scores, atol=0.02)
    np.testing.assert_allclose(of_export.boxes_xyxy, of_pt.boxes_xyxy, atol=1)


def test_a_pose_model_gives_boxes(tmp_path: Path, picture: Any) -> None:
    weights = detector_of_task(tmp_path / "best.pt", "pose")
    try_detector(weights, CPU)
    (detections,) = YoloDetector(weights, CPU).detect([picture])
    assert (detections.scores > 0.5).sum() == 2


@pytest.mark.parametrize(("task", "name"), [("obb", "obb"), ("cls", "classify")])
def test_weights_of_a_task_without_boxes(tmp_path: Path, task: str, name: str) -> None:
    weights = detector_of_task(tmp_path / "best.pt", task)
    with pytest.raises(ConfigError) as caught:
        try_detector(weights, CPU)
    assert str(caught.value) == (
        "$.detector.weights must be a model of the task detect, segment or pose, got "
        f"{weights} of the task {name}"
    )


@pytest.mark.parametrize("task", ["obb", "classify", "depth"])
def test_an_export_of_a_task_without_boxes(tmp_path: Path, exported: Path, task: str) -> None:
    folder = with_metadata(tmp_path, exported, task=task)
    with pytest.raises(ConfigError, match=f"segment or pose, got {folder} of the task {task}"):
        try_detector(folder, CPU)


def with_metadata(tmp_path: Path, exported: Path, **changes: object) -> Path:
    """Copy an OpenVINO folder, with other metadata; None takes a key out."""
    folder = Path(shutil.copytree(exported, tmp_path / exported.name))
    metadata = yaml.safe_load((folder / "metadata.yaml").read_text()) | changes
    kept = {key: value for key, value in metadata.items() if value is not None}
    (folder / "metadata.yaml").write_text(yaml.safe_dump(kept))
    return folder


def test_an_export_has_its_size(exported: Path) -> None:
    try_detector(exported, DetectorParams(image_size_px=256))
    with pytest.raises(ConfigError) as caught:
        try_detector(exported, DetectorParams(image_size_px=128))
    assert str(caught.value) == (
        f"$.detector.image_size_px must be 256 or null for {exported}, which was exported with "
        "that size, got 128"
    )


def test_an_export_may_know_fewer_names_than_classes(
    tmp_path: Path, exported: Path, picture: Any
) -> None:
    # As a model of boxes alone, its 32 numbers of a mask are scores of more classes.
    folder = with_metadata(tmp_path, exported, task="detect", names={0: "mug"})
    (detections,) = YoloDetector(folder, CPU).detect([picture])
    assert {"mug"} < set(detections.labels) <= {"mug", *(f"class{i}" for i in range(1, 33))}


def test_an_export_without_names(tmp_path: Path, exported: Path, picture: Any) -> None:
    folder = with_metadata(tmp_path, exported, names=None)
    (detections,) = YoloDetector(folder, CPU).detect([picture])
    assert set(detections.labels) == {"class0"}


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["mug", "never"], ("mug", "never")),
        ({0: "mug", 1: "never"}, ("mug", "never")),
        ({"0": "mug", "1": "never"}, ("mug", "never")),
        ({}, ("class0", "class1")),
        (None, ("class0", "class1")),
    ],
)
def test_class_names_of_every_form(
    tmp_path: Path, names: object, expected: tuple[str, ...]
) -> None:
    weights = detector_of_two_classes(tmp_path / "two.pt", names)
    try_detector(weights, CPU)
    assert YoloDetector(weights, CPU).classes == expected


@pytest.mark.parametrize(
    ("module", "name", "package"),
    [
        ("onnxruntime", "best.onnx", "pvtt_flow[onnx]"),
        ("openvino", "best_openvino_model", "pvtt_flow[openvino]"),
        ("tensorrt", "best.engine", "tensorrt"),
        ("ncnn", "best_ncnn_model", "ncnn"),
    ],
)
def test_a_library_that_is_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, name: str, package: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    weights = tmp_path / name
    weights.mkdir() if weights.suffix == "" else weights.write_bytes(b"graph")
    with pytest.raises(PreflightError) as caught:
        try_detector(weights, CPU)
    assert str(caught.value) == (
        f"$.detector.weights: {weights} needs the library {module}, which is not installed; run "
        f"pip install '{package}' on every machine, or use the .pt file that it was exported from"
    )


def save_state_dict(path: Path) -> None:
    torch.save(embedded_checkpoint()["model"].state_dict(), path)


def cut(path: Path) -> None:
    path.write_bytes(embedded_file("detector.pt").read_bytes()[:100_000])


BAD_FILES: dict[str, Callable[[Path], object]] = {
    "empty.pt": lambda path: path.write_bytes(b""),
    "text.pt": lambda path: path.write_text("hello"),
    "cut.pt": cut,
    "state_dict.pt": save_state_dict,
    "module.pt": lambda path: torch.save(torch.nn.Linear(2, 2), path),
    "list.pt": lambda path: torch.save([1, 2], path),
    "sam2.pt": lambda path: shutil.copy(embedded_file("sam2_embedded.pt"), path),
    "detector.pth": lambda path: shutil.copy(embedded_file("detector.pt"), path),
    "detector.torchscript": lambda path: shutil.copy(embedded_file("detector.pt"), path),
    "weights.safetensors": lambda path: path.write_bytes(b"other"),
    "weights": lambda path: path.write_bytes(b"other"),
    "folder": lambda path: path.mkdir(),
    "empty_openvino_model": lambda path: path.mkdir(),
}


@pytest.mark.parametrize("name", list(BAD_FILES))
def test_a_file_that_is_no_detector(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    BAD_FILES[name](path)
    with pytest.raises(PreflightError) as caught:
        try_detector(path, CPU)
    message = str(caught.value)
    rule = "$.detector.weights must be a detector that ultralytics can load and use"
    assert message.startswith(f"{rule}, got {path} (")
    assert "\n" not in message
    assert len(message) < 500
