import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from pvtt_flow.video.color.sharpness import sharpness
from tests.video.clip_maker import moving_image

Rgb = NDArray[np.uint8]


@pytest.fixture(scope="module")
def image() -> Rgb:
    """Image of uint8 (720, 1080, 3) with detail of all sizes."""
    large = cv2.resize(moving_image(0), (1080, 720), interpolation=cv2.INTER_CUBIC)
    return np.asarray(large, np.uint8)


def grainy(rgb: Rgb, sigma: float = 6.0) -> Rgb:
    grain = sigma * np.random.default_rng(0).standard_normal(rgb.shape)
    return np.clip(rgb + grain, 0, 255).astype(np.uint8)


def blurred(rgb: Rgb, share_of_height: float) -> Rgb:
    return np.asarray(cv2.GaussianBlur(rgb, (0, 0), share_of_height * len(rgb)), np.uint8)


def test_blur_lowers_sharpness_despite_grain(image: Rgb) -> None:
    sharp = sharpness(grainy(image))
    values = [sharpness(grainy(blurred(image, share))) for share in (0.005, 0.01, 0.02, 0.04)]
    assert values == sorted(values, reverse=True)
    assert values[1] < 0.5 * sharp, "by a hundredth of the height"
    at_full_size = [
        cv2.Laplacian(cv2.cvtColor(grainy(rgb), cv2.COLOR_RGB2GRAY), cv2.CV_32F).var()
        for rgb in (image, blurred(image, 0.04))
    ]
    assert at_full_size[1] > 0.9 * at_full_size[0], "at full size grain hides the blur"


def test_a_fade_lowers_sharpness_with_the_square_of_the_contrast(image: Rgb) -> None:
    full = sharpness(image)
    for gain in (0.25, 0.5, 0.75):
        faded = (image * gain).astype(np.uint8)
        assert sharpness(faded) == pytest.approx(gain**2 * full, rel=0.05)
    assert sharpness(np.zeros_like(image)) == 0.0


@pytest.mark.parametrize("scale", [0.5, 2.0])
def test_sharpness_does_not_depend_on_the_image_size(image: Rgb, scale: float) -> None:
    scaled = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    assert sharpness(np.asarray(scaled, np.uint8)) == pytest.approx(sharpness(image), rel=0.1)


@pytest.mark.parametrize("size_px", [(1, 1), (1, 500), (40, 30), (3000, 2)])
def test_images_of_any_size_have_a_sharpness(size_px: tuple[int, int]) -> None:
    assert sharpness(np.full((*size_px, 3), 200, np.uint8)) == 0.0
