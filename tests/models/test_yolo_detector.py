"""The detector behind its protocol: real weights on real pictures."""

import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

import pvtt_flow
from pvtt_flow.models.detector import Detector, DetectorParams
from pvtt_flow.models.factory import build_detector
from pvtt_flow.storage.streams import open_binary
from pvtt_flow.types import Detections

Picture = NDArray[np.uint8]
SAMPLES = Path(pvtt_flow.__path__[0]) / "samples"
# Watches what ultralytics does behind one's back while it loads and looks.
QUIET_SCRIPT = """
import socket
dialled = []
socket.socket.connect = lambda self, address: dialled.append(address)
socket.getaddrinfo = lambda *address, **_: dialled.append(address)
import numpy as np
from pvtt_flow.models.factory import build_detector
from pvtt_flow.models.detector import DetectorParams
detector = build_detector(DetectorParams(), None, open)
detector.detect([np.zeros((90, 160, 3), np.uint8)])
print("dialled", dialled)
"""


def first_frame(path: Path, *, second_s: float = 0) -> Picture:
    """uint8 (H, W, 3) RGB of the first frame, or of the one shown at a later time."""
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            if frame.time >= second_s:
                return np.asarray(frame.to_ndarray(format="rgb24"))
    raise AssertionError(f"{path} is shorter than {second_s} s")


def enlarged(picture: Picture, factor: int) -> Picture:
    return np.ascontiguousarray(picture.repeat(factor, axis=0).repeat(factor, axis=1))


def assert_same(one: Detections, other: Detections) -> None:
    assert one.labels == other.labels
    np.testing.assert_allclose(one.scores, other.scores, atol=1e-4)
    np.testing.assert_allclose(one.boxes_xyxy, other.boxes_xyxy, atol=0.1)


@pytest.fixture(scope="module")
def detector() -> Detector:
    return build_detector(DetectorParams(device="cpu"), None, open_binary)


@pytest.fixture(scope="module")
def picture() -> Picture:
    return first_frame(SAMPLES / "one_product.mp4")


def test_what_it_returns(detector: Detector, picture: Picture) -> None:
    (seen,) = detector.detect([picture])
    assert detector.classes == ("product",)
    assert set(seen.labels) == {"product"}
    assert (np.diff(seen.scores) <= 0).all(), "best first"
    assert (seen.scores > 0).all()
    height_px, width_px = picture.shape[:2]
    assert (seen.boxes_xyxy >= 0).all()
    assert (seen.boxes_xyxy[:, 2] <= width_px).all()
    assert (seen.boxes_xyxy[:, 3] <= height_px).all()
    assert (seen.boxes_xyxy[:, :2] < seen.boxes_xyxy[:, 2:]).all()
    assert detector.detect([]) == []


def test_boxes_are_in_the_pictures_own_pixels(detector: Detector, picture: Picture) -> None:
    small, large = detector.detect([picture, enlarged(picture, 3)])
    np.testing.assert_allclose(large.boxes_xyxy[0] / 3, small.boxes_xyxy[0], atol=8)


def test_red_is_red(detector: Detector, picture: Picture) -> None:
    (seen,) = detector.detect([picture])
    (mirrored,) = detector.detect([np.ascontiguousarray(picture[..., ::-1])])
    assert not np.array_equal(seen.scores, mirrored.scores), "the order of colours matters"


def test_a_batch_gives_what_one_by_one_gives(detector: Detector, picture: Picture) -> None:
    # Pictures of other shapes beside it must not change what is seen in a picture.
    tall = np.ascontiguousarray(picture[:, 100:250])
    dark = picture // 3
    pictures = [picture, tall, dark, enlarged(tall, 2)]
    together = detector.detect(pictures)
    for alone, beside in zip(pictures, together, strict=True):
        assert_same(detector.detect([alone])[0], beside)


def test_it_writes_no_file_and_dials_nobody(tmp_path: Path) -> None:
    home, folder = tmp_path / "home", tmp_path / "folder"
    home.mkdir()
    folder.mkdir()
    ended = subprocess.run(
        [sys.executable, "-c", QUIET_SCRIPT],
        capture_output=True,
        text=True,
        check=True,
        cwd=folder,
        env={"HOME": str(home), "PATH": "/usr/bin:/bin"},
    )
    assert ended.stdout.splitlines()[-1] == "dialled []"
    assert list(home.rglob("*")) == []
    assert list(folder.rglob("*")) == []


def test_an_openvino_model_of_many_classes(shared_data: Path) -> None:
    weights = shared_data / "weights" / "yolo11n_int8_openvino_model"
    params = DetectorParams(weights=str(weights), device="cpu")
    detector = build_detector(params, None, open_binary)
    assert len(detector.classes) == 80
    picture = first_frame(shared_data / "videos" / "intel_bottle-detection.mp4", second_s=2)
    # The model was exported for one picture at a time; the flow asks for several all the same.
    first, second = detector.detect([picture, picture])
    assert "bottle" in [
        n for n, score in zip(first.labels, first.scores, strict=True) if score > 0.4
    ]
    assert_same(first, second)
