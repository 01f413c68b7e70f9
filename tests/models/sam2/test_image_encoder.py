"""Image encoder without padded tokens, against the official one."""

from pathlib import Path
from typing import Any

import pytest
import torch

from pvtt_flow.models.sam2.image_encoder import ImageEncoder
from tests.models.sam2.pair import perturb
from tests.models.sam2.small_predictor import OFFICIAL_CONFIGS, small_predictor

# Stages have sides of 32 to 4 tokens at 128 px and of 64 to 8 at 256 px, in windows of 8, 4, 14 and
# 7 (large: 8, 4, 16 and 8), with global attention between them.
CASES = [
    ("sam2.1/sam2.1_hiera_t.yaml", 128),
    ("sam2.1/sam2.1_hiera_t.yaml", 256),
    ("sam2.1/sam2.1_hiera_b+.yaml", 256),
]


@pytest.mark.parametrize(("name", "size_px"), CASES)
def test_features_equal_the_official_ones(name: str, size_px: int, tmp_path: Path) -> None:
    encoder: Any = perturb(
        small_predictor(OFFICIAL_CONFIGS / name, tmp_path, size_px)
    ).image_encoder
    torch.manual_seed(1)
    images = torch.randn(1, 3, size_px, size_px)
    with torch.inference_mode():
        expected = encoder(images)["backbone_fpn"]
        levels = ImageEncoder(encoder, size_px)(images)
    assert [level.shape for level in levels] == [level.shape for level in expected]
    for level, official in zip(levels, expected, strict=True):
        scale = official.abs().max().item()
        assert (level - official).abs().max().item() <= 1e-5 * scale


def test_windows_need_padding_in_these_cases(tmp_path: Path) -> None:
    trunk: Any = small_predictor(OFFICIAL_CONFIGS / CASES[0][0], tmp_path, 128).image_encoder.trunk
    windows = {block.window_size for block in trunk.blocks if block.window_size}
    assert windows == {8, 4, 14, 7}
