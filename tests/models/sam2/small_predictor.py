"""Architectures for small images, with random weights."""

from pathlib import Path
from typing import Any

import sam2
import torch
import yaml

from pvtt_flow.models.sam2.official import build_predictor

OFFICIAL_CONFIGS = Path(str(sam2.__file__)).parent / "configs"


def small_config(config: Path, folder: Path, size_px: int) -> Path:
    """Write a config for images of `size_px`."""
    tree = yaml.safe_load(config.read_text())
    model, grid = tree["model"], [size_px // 16] * 2
    model["image_size"] = size_px
    for attention in ("self_attention", "cross_attention"):
        model["memory_attention"]["layer"][attention]["feat_sizes"] = grid
    path = folder / "small.yaml"
    path.write_text(yaml.safe_dump(tree))
    return path


def small_predictor(config: Path, folder: Path, size_px: int) -> Any:
    """Build the predictor of a config for images of `size_px`."""
    path = small_config(config, folder, size_px)
    torch.manual_seed(0)
    return build_predictor(None, path, torch.device("cpu"))
