import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from pvtt_flow.video.color.sharpness import sharpness
from tests.video.clip_maker import moving_image

Rgb = NDArray[np.uint8]


@pytest.fixture(scope="module")
def picture() -> Rgb:
    """uint8 (720, 1080, 3): what a camera may see."""
    large = cv2.resize(moving_image(0), (1080, 720), interpolation=cv2.INTER_CUBIC)
    return np.asarray(large, np.uint8)


def grainy(rgb: Rgb, sigma: float = 6.0) -> Rgb:
    grain = sigma * np.random.default_rng(0).standard_normal(rgb.shape)
    return np.clip(rgb + grain, 0, 255).astype(np.uint8)


def blurred(rgb: Rgb, share_of_height: float) -> Rgb:
    return np.asarray(cv2.GaussianBlur(rgb, (0, 0), share_of_height * len(rgb)), np.uint8)


def test_blur_is_told_although_the_camera_has_grain(picture: Rgb) -> None:
    sharp = sharpness(grainy(picture))
    values = [sharpness(grainy(blurred(picture, share))) for share in (0.005, 0.01, 0.02, 0.04)]
    assert values == sorted(values, reverse=True)
    assert values[1] < 0.5 * sharp, "by a hundredth of the height"
    at_full_size = [
        cv2.Laplacian(cv2.cvtColor(grainy(rgb), cv2.COLOR_RGB2GRAY), cv2.CV_32F).var()
        for rgb in (picture, blurred(picture, 0.04))
    ]
    assert at_full_size[1] > 0.9 * at_full_size[0], "why it is made small"


def test_a_fade_lowers_it_with_the_square_of_the_contrast(picture: Rgb) -> None:
    full = sharpness(picture)
    for gain in (0.25, 0.5, 0.75):
        faded = (picture * gain).astype(np.uint8)
        assert sharpness(faded) == pytest.approx(gain**2 * full, rel=0.05)
    assert sharpness(np.zeros_like(picture)) == 0.0


@pytest.mark.parametrize("scale", [0.5, 2.0])
def test_the_pictures_size_does_not_count(picture: Rgb, scale: float) -> None:
    other = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    assert sharpness(np.asarray(other, np.uint8)) == pytest.approx(sharpness(picture), rel=0.1)


@pytest.mark.parametrize("size_px", [(1, 1), (1, 500), (40, 30), (3000, 2)])
def test_any_size_has_one(size_px: tuple[int, int]) -> None:
    assert sharpness(np.full((*size_px, 3), 200, np.uint8)) == 0.0
