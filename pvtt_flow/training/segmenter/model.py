"""Build the compact SAM 2 from the yaml that ships, with the `sam2` package's own classes."""

from pathlib import Path
from typing import Any

import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from sam2.modeling.sam2_base import SAM2Base

from pvtt_flow.training.embedded import EMBEDDED, write_weights

CONFIG = EMBEDDED / "sam2_embedded.yaml"
WEIGHTS = EMBEDDED / "sam2_embedded.pt"


def build(config: Path = CONFIG, *, side_px: int | None = None) -> SAM2Base:
    """Build a model with fresh weights, for images of another size than the config's if given.

    Weights fit all sizes.
    """
    tree = OmegaConf.load(config).model
    if side_px is not None:
        tree = OmegaConf.merge(tree, _of_size(side_px))
    model: SAM2Base = instantiate(tree, _recursive_=True)
    return model


def _of_size(side_px: int) -> dict[str, Any]:
    grid = {"feat_sizes": [side_px // 16] * 2}
    return {
        "image_size": side_px,
        "memory_attention": {"layer": {"self_attention": grid, "cross_attention": grid}},
    }


def load_weights(path: Path) -> dict[str, torch.Tensor]:
    """Read the weights that `export` wrote, in single precision."""
    state: dict[str, torch.Tensor] = torch.load(path, map_location="cpu", weights_only=True)[
        "model"
    ]
    return {name: value.float() for name, value in state.items()}


def export(state: dict[str, torch.Tensor], weights: Path = WEIGHTS) -> None:
    """Write a state dict in half precision under the key `model`, with the folder's checksums."""
    write_weights({"model": {name: value.half().cpu() for name, value in state.items()}}, weights)
