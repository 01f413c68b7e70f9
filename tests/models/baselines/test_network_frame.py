"""Sizes of frames in a network."""

import numpy as np
import pytest
import torch

from pvtt_flow.models.baselines.network_frame import FrameFormat
from tests.models.baselines.seeded import uniform

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("display", "inner", "padding"),
    [
        ((480, 854), (480, 854), (5, 5, 0, 0)),
        ((1080, 1920), (480, 853), (5, 6, 0, 0)),
        ((1920, 1080), (853, 480), (0, 0, 5, 6)),
        ((64, 96), (64, 96), (0, 0, 0, 0)),
        ((65, 96), (65, 96), (0, 0, 7, 8)),
    ],
)
def test_shorter_side_and_padding(
    display: tuple[int, int], inner: tuple[int, int], padding: tuple[int, int, int, int]
) -> None:
    assert FrameFormat.of(display) == FrameFormat(display, inner, padding)


def test_images_are_normalized_and_padded_with_zeros() -> None:
    rgb = np.full((30, 32, 3), (255, 0, 51), np.uint8)
    image = FrameFormat.of((30, 32)).image(rgb, "bilinear", CPU)
    assert image.shape == (1, 3, 32, 32)
    expected = torch.tensor([(1 - 0.485) / 0.229, -0.456 / 0.224, (0.2 - 0.406) / 0.225])
    assert torch.allclose(image[0, :, 1, 0], expected, atol=1e-6)
    assert not image[0, :, [0, -1]].any()


@pytest.mark.parametrize("display", [(50, 70), (720, 976), (976, 720)])
def test_masks_come_back_in_their_place(display: tuple[int, int]) -> None:
    form = FrameFormat.of(display)
    mask = np.zeros(display, np.bool_)
    mask[: display[0] // 2, display[1] // 3 :] = True
    inner = form.masks([mask, ~mask], CPU)
    assert inner.shape[1] % 16 == inner.shape[2] % 16 == 0
    found = form.at_display(inner) > 0.5
    assert found.shape == (2, *display)
    # Edges may move by a pixel of the network.
    assert (found[0] ^ mask).sum() <= 2 * sum(display)


def test_large_frames_are_resized_without_aliases() -> None:
    noise = ((uniform("noise", 960, 976, 3) + 1) * 127).astype(np.uint8)
    image = FrameFormat.of((960, 976)).image(noise, "bilinear", CPU)
    assert image.shape == (1, 3, 480, 496)
    # A triangle over four pixels a side leaves 0.34 of white noise's deviation, two pixels 0.56.
    normalized = float(image[0, 0, :, 4:-4].std()) * 0.229 * 255 / float(noise[..., 0].std())
    assert 0.3 < normalized < 0.4
