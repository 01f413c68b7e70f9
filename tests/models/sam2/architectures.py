"""Official architectures for small images, with random weights."""

from pathlib import Path
from typing import Any

import sam2
import torch
import yaml

from pvtt_flow.models.sam2.official import build_predictor

_CONFIGS = Path(str(sam2.__file__)).parent / "configs"


def small_predictor(name: str, folder: Path, size_px: int) -> Any:
    """Build the predictor of an official config for images of `size_px`."""
    tree = yaml.safe_load((_CONFIGS / name).read_text())
    model, grid = tree["model"], [size_px // 16] * 2
    model["image_size"] = size_px
    for attention in ("self_attention", "cross_attention"):
        model["memory_attention"]["layer"][attention]["feat_sizes"] = grid
    path = folder / "small.yaml"
    path.write_text(yaml.safe_dump(tree))
    torch.manual_seed(0)
    return build_predictor(None, path, torch.device("cpu"))
