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


def build(config: Path = CONFIG, **overrides: Any) -> SAM2Base:
    """Build a model with fresh weights; overrides replace keys of the yaml's `model`."""
    tree = OmegaConf.merge(OmegaConf.load(config).model, overrides)
    model: SAM2Base = instantiate(tree, _recursive_=True)
    return model


def export(state: dict[str, torch.Tensor], weights: Path = WEIGHTS) -> None:
    """Write a state dict in half precision under the key `model`, with the folder's checksums."""
    write_weights({"model": {name: value.half() for name, value in state.items()}}, weights)
