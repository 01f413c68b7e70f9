"""Ultralytics detectors with real weights on real pictures."""

import os
import subprocess
import sys
import weakref
from collections.abc import Sequence
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import pvtt_flow
from pvtt_flow.core.products import DetectParams, choose_products
from pvtt_flow.models.checkpoints import embedded_file
from pvtt_flow.models.detector import Detector, DetectorParams, YoloDetector
from pvtt_flow.models.factory import build_detector
from pvtt_flow.storage.streams import open_binary
from pvtt_flow.types import Detections
from tests.models.weights import detector_of_two_classes

Picture = NDArray[np.uint8]
SAMPLES = Path(pvtt_flow.__path__[0]) / "samples"
# Records the connections that ultralytics opens while it loads a model and detects.
QUIET_SCRIPT = """
import socket
connections = []
socket.socket.connect = lambda self, address: connections.append(address)
socket.getaddrinfo = lambda *address, **_: connections.append(address)
import numpy as np
from pvtt_flow.models.factory import build_detector
from pvtt_flow.models.detector import DetectorParams
detector = build_detector(DetectorParams(), None, open)
detector.detect([np.zeros((90, 160, 3), np.uint8)])
print("connections", connections)
"""


def first_frame(path: Path, *, second_s: float = 0) -> Picture:
    """Return the first frame, or the first one from a later time on, as uint8 (H, W, 3) RGB."""
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            if frame.time >= second_s:
                return np.asarray(frame.to_ndarray(format="rgb24"))
    raise AssertionError(f"{path} is shorter than {second_s} s")


def enlarge(picture: Picture, factor: int) -> Picture:
    return np.ascontiguousarray(picture.repeat(factor, axis=0).repeat(factor, axis=1))


def resized(picture: Picture, side_px: int) -> Picture:
    return np.asarray(cv2.resize(picture, (side_px, side_px), interpolation=cv2.INTER_AREA))


def assert_equal(actual: Detections, expected: Detections) -> None:
    assert actual.labels == expected.labels
    np.testing.assert_allclose(actual.scores, expected.scores, atol=1e-4)
    np.testing.assert_allclose(actual.boxes_xyxy, expected.boxes_xyxy, atol=0.1)


@pytest.fixture(scope="module")
def detector() -> Detector:
    return build_detector(DetectorParams(device="cpu"), None, open_binary)


@pytest.fixture(scope="module")
def picture() -> Picture:
    return first_frame(SAMPLES / "one_product.mp4")


def test_detections_are_sorted_and_inside_the_picture(detector: Detector, picture: Picture) -> None:
    (detections,) = detector.detect([picture])
    assert detector.classes == ("product",)
    assert set(detections.labels) == {"product"}
    assert (np.diff(detections.scores) <= 0).all(), "best first"
    assert (detections.scores > 0).all()
    height_px, width_px = picture.shape[:2]
    assert (detections.boxes_xyxy >= 0).all()
    assert (detections.boxes_xyxy[:, 2] <= width_px).all()
    assert (detections.boxes_xyxy[:, 3] <= height_px).all()
    assert (detections.boxes_xyxy[:, :2] < detections.boxes_xyxy[:, 2:]).all()
    assert detector.detect([]) == []


def test_boxes_are_in_pixels_of_the_picture(detector: Detector, picture: Picture) -> None:
    small, large = detector.detect([picture, enlarge(picture, 3)])
    np.testing.assert_allclose(large.boxes_xyxy[0] / 3, small.boxes_xyxy[0], atol=8)


def test_the_order_of_color_channels_matters(detector: Detector, picture: Picture) -> None:
    (detections,) = detector.detect([picture])
    (swapped,) = detector.detect([np.ascontiguousarray(picture[..., ::-1])])
    assert not np.array_equal(detections.scores, swapped.scores), "RGB and BGR must differ"


def test_a_batch_equals_single_pictures(detector: Detector, picture: Picture) -> None:
    # Pictures of other shapes in the batch must not change the detections in a picture.
    tall = np.ascontiguousarray(picture[:, 100:250])
    dark = picture // 3
    pictures = [picture, tall, dark, enlarge(tall, 2)]
    together = detector.detect(pictures)
    for single, in_batch in zip(pictures, together, strict=True):
        assert_equal(in_batch, detector.detect([single])[0])


def test_a_batch_that_does_not_fit_into_memory_is_halved(
    picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    detector = YoloDetector(embedded_file("detector.pt"), DetectorParams(device="cpu"))
    pictures = [picture // (i + 1) for i in range(5)]
    expected = detector.detect(pictures)
    predict, sizes, held = YoloDetector._predict, [], []

    class Tensor:
        pass

    def predict_two(self: YoloDetector, pictures: Sequence[Picture]) -> list[Detections]:
        sizes.append(len(pictures))
        tensor = Tensor()
        if len(pictures) > 2:
            held.append(weakref.ref(tensor))
            raise torch.OutOfMemoryError
        return predict(self, pictures)

    def empty_cache() -> None:
        assert [tensor() for tensor in held] == [None] * len(held)

    monkeypatch.setattr(YoloDetector, "_predict", predict_two)
    monkeypatch.setattr(torch.cuda, "empty_cache", empty_cache)
    for halved, whole in zip(detector.detect(pictures), expected, strict=True):
        assert_equal(halved, whole)
    assert sizes == [5, 2, 3, 1, 2]


def test_one_picture_that_does_not_fit_into_memory(
    detector: Detector, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def predict(self: YoloDetector, pictures: Sequence[Picture]) -> list[Detections]:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(YoloDetector, "_predict", predict)
    with pytest.raises(torch.OutOfMemoryError):
        detector.detect([picture, picture])


@pytest.mark.slow
def test_ultralytics_writes_no_file_and_opens_no_connection(tmp_path: Path) -> None:
    home, folder = tmp_path / "home", tmp_path / "folder"
    home.mkdir()
    folder.mkdir()
    finished = subprocess.run(
        [sys.executable, "-c", QUIET_SCRIPT],
        capture_output=True,
        text=True,
        check=True,
        cwd=folder,
        env={"HOME": str(home), "PATH": "/usr/bin:/bin", "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert finished.stdout.splitlines()[-1] == "connections []"
    assert list(home.rglob("*")) == []
    assert list(folder.rglob("*")) == []


def test_an_openvino_model_of_many_classes(shared_data: Path) -> None:
    weights = shared_data / "weights" / "yolo11n_int8_openvino_model"
    params = DetectorParams(weights=str(weights), device="cpu")
    detector = build_detector(params, None, open_binary)
    assert len(detector.classes) == 80
    picture = first_frame(shared_data / "videos" / "intel_bottle-detection.mp4", second_s=2)
    # The model was exported for one picture at a time; the pipeline passes several.
    first, second = detector.detect([picture, picture])
    assert "bottle" in [
        label for label, score in zip(first.labels, first.scores, strict=True) if score > 0.4
    ]
    assert_equal(first, second)


def crowd(picture: Picture) -> Picture:
    """Return 140 small products around a larger, darker one, uint8 (636, 636, 3)."""
    product = picture[85:211, 180:294]
    small = np.tile(resized(product, 53), (12, 12, 1))
    small[6 * 53 : 8 * 53, 6 * 53 : 8 * 53] = resized(product, 106) // 5
    return small


def test_products_are_chosen_before_any_are_left_out(picture: Picture) -> None:
    wanted = DetectParams(choose="area")
    params = DetectorParams(device="cpu", image_size_px=640)
    (detections,) = build_detector(params, None, open_binary, wanted).detect([crowd(picture)])
    (chosen,) = choose_products(
        detections, frame_index=0, width_px=636, height_px=636, params=wanted
    )
    assert chosen.score is not None
    assert (detections.scores > chosen.score).sum() > 100
    assert chosen.box_xyxy == pytest.approx((325, 324, 418, 416), abs=12)


def test_detections_that_cannot_be_chosen_are_left_out(tmp_path: Path) -> None:
    picture = first_frame(SAMPLES / "two_products.mp4")
    weights = detector_of_two_classes(tmp_path / "two.pt", ["product", "never"])
    params = DetectorParams(device="cpu")

    def scores(**wanted: object) -> list[float]:
        chosen = DetectParams.model_validate(wanted)
        (detections,) = YoloDetector(weights, params, chosen).detect([picture])
        return [float(score) for score in detections.scores]

    (everything,) = YoloDetector(weights, params).detect([picture])
    assert len(everything.scores) > 2
    default = everything.scores >= DetectParams().min_score
    assert not default.all()
    assert scores() == list(everything.scores[default])
    assert scores(min_score=float(everything.scores[1])) == list(everything.scores[:2])
    assert scores(classes=("never", "product"), min_score=0.0) == list(everything.scores)
    assert scores(classes=("never",), min_score=0.0) == []
