"""The image encoder without its padding against the official one with it."""

from pathlib import Path
from typing import Any

import pytest
import torch

from pvtt_flow.models.sam2.image_encoder import Trunk
from tests.models.sam2.architectures import small_predictor
from tests.models.sam2.pair import shaken

# At 128 px stages of 32 to 4 tokens a side, at 256 px of 64 to 8, in windows of 8, 4, 14 and 7
# (large: 8, 4, 16 and 8), with global attention between them.
CASES = [
    ("sam2.1/sam2.1_hiera_t.yaml", 128),
    ("sam2.1/sam2.1_hiera_t.yaml", 256),
    ("sam2.1/sam2.1_hiera_b+.yaml", 256),
]


@pytest.mark.parametrize(("name", "size_px"), CASES)
def test_features_are_the_official_ones(name: str, size_px: int, tmp_path: Path) -> None:
    encoder: Any = shaken(small_predictor(name, tmp_path, size_px)).image_encoder
    torch.manual_seed(1)
    images = torch.randn(1, 3, size_px, size_px)
    with torch.inference_mode():
        expected = encoder(images)["backbone_fpn"]
        found = Trunk(encoder, size_px)(images)
    assert [level.shape for level in found] == [level.shape for level in expected]
    for level, reference in zip(found, expected, strict=True):
        scale = reference.abs().max().item()
        assert (level - reference).abs().max().item() <= 1e-5 * scale


def test_windows_need_padding_in_these_cases(tmp_path: Path) -> None:
    trunk: Any = small_predictor(CASES[0][0], tmp_path, 128).image_encoder.trunk
    windows = {block.window_size for block in trunk.blocks if block.window_size}
    assert windows == {8, 4, 14, 7}
