"""Builds the compact SAM 2 from the yaml that ships, with the `sam2` package's own classes."""

from pathlib import Path
from typing import Any

import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from sam2.modeling.sam2_base import SAM2Base

from pvtt_flow.training.checksums import write_checksums

EMBEDDED = Path(__file__).parents[2] / "models" / "embedded"
CONFIG = EMBEDDED / "sam2_embedded.yaml"
WEIGHTS = EMBEDDED / "sam2_embedded.pt"

# What sam2.build_sam.build_sam2_video_predictor sets for inference, without hole filling,
# which needs a compiled extension and would make masks differ by host.
PREDICTOR: dict[str, Any] = {
    "_target_": "sam2.sam2_video_predictor.SAM2VideoPredictor",
    "sam_mask_decoder_extra_args": {
        "dynamic_multimask_via_stability": True,
        "dynamic_multimask_stability_delta": 0.05,
        "dynamic_multimask_stability_thresh": 0.98,
    },
    "binarize_mask_from_pts_for_mem_enc": True,
    "fill_hole_area": 0,
}


def build(config: Path = CONFIG, **overrides: Any) -> SAM2Base:
    """A model with fresh weights; overrides replace keys of the yaml's `model`."""
    tree = OmegaConf.merge(OmegaConf.load(config).model, overrides)
    model: SAM2Base = instantiate(tree, _recursive_=True)
    return model


def predictor(weights: Path = WEIGHTS) -> SAM2Base:
    """`sam2`'s video predictor with trained weights, ready to run in fp32."""
    model = build(**PREDICTOR)
    state = torch.load(weights, map_location="cpu", weights_only=True)["model"]
    model.load_state_dict({name: value.float() for name, value in state.items()})
    return model.eval()


def export(state: dict[str, torch.Tensor], weights: Path = WEIGHTS) -> None:
    """Writes a state dict in half precision under the key `model`, whole or not at all."""
    part = weights.with_suffix(".part")
    torch.save({"model": {name: value.half() for name, value in state.items()}}, part)
    part.rename(weights)
    write_checksums(weights.parent)
