"""Resize on a device: the bytes of Pillow."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from pvtt_flow.models.sam2 import device_resize
from pvtt_flow.models.sam2.device_resize import DeviceResize
from pvtt_flow.models.sam2.model_input import resize_to_square

CPU = torch.device("cpu")
SIDES = st.integers(16, 120)


@given(SIDES, SIDES, st.integers(8, 70), st.integers(0, 2**32 - 1))
def test_any_size_has_the_bytes_of_pillow(height: int, width: int, size: int, seed: int) -> None:
    # Black and white: the weights' negative parts leave the range of bytes.
    rgb = np.random.default_rng(seed).choice(np.array([0, 255], np.uint8), (height, width, 3))
    resize = DeviceResize(CPU)
    assert resize._find_order(height, width, size) is not None, "Pillow is not needed"
    assert np.array_equal(resize(rgb, size), resize_to_square(rgb, size))


@pytest.mark.parametrize(
    ("height", "width", "size"),
    [(1080, 1920, 1024), (1920, 1080, 1024), (720, 405, 1008), (480, 854, 512)],
)
def test_sizes_of_videos(height: int, width: int, size: int) -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    resize = DeviceResize(CPU)
    for picture in (rgb, 255 - rgb):
        assert np.array_equal(resize(picture, size), resize_to_square(picture, size))


def test_another_way_of_pillow_is_left_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def nearest(rgb: NDArray[np.uint8], size_px: int) -> NDArray[np.uint8]:
        return np.asarray(Image.fromarray(rgb).resize((size_px, size_px), Image.Resampling.NEAREST))

    monkeypatch.setattr(device_resize, "resize_to_square", nearest)
    rgb = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    assert np.array_equal(DeviceResize(CPU)(rgb, 32), nearest(rgb, 32))


def test_a_device_without_memory_does_not_fail_a_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise torch.OutOfMemoryError("full")

    monkeypatch.setattr(device_resize, "_resample", fail)
    rgb = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    with pytest.warns(RuntimeWarning, match="resized on the CPU, .* since cpu failed: full"):
        resized = DeviceResize(CPU)(rgb, 32)
    assert np.array_equal(resized, resize_to_square(rgb, 32))
