"""Official SAM 2 video predictor, built safely from a config file and a checkpoint."""

import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from pvtt_flow.errors import ConfigError
from pvtt_flow.models.sam2.state_dict import read_state_dict

_MAX_REASON_CHARS = 200


def build_predictor(weights: Path | None, config: Path, device: torch.device) -> Any:
    """Build an official `SAM2VideoPredictor` from a config file and a state dict.

    Without weights its parameters are random. Raises ConfigError for files of another format, for a
    config that names classes outside the `sam2` package, and for weights of another config.
    """
    predictor = _instantiate(config)
    if weights is not None:
        _load_weights(predictor, weights, config)
    return predictor.float().to(device).eval()


def _instantiate(config: Path) -> Any:
    import sam2.sam2_video_predictor as official
    from hydra.utils import instantiate

    # Callers report progress themselves.
    official.tqdm = _no_progress_bar
    try:
        return instantiate(_architecture(config), _recursive_=True)
    except ConfigError:
        raise
    except Exception as error:
        raise ConfigError(
            f"$.tracker.config must be the architecture of a SAM 2 in YAML, got {config} "
            f"({shortened(error)})"
        ) from error


def _architecture(config: Path) -> Any:
    """Return the config of a predictor with the settings that all of ours have."""
    from omegaconf import OmegaConf

    tree: Any = OmegaConf.load(config)
    model = tree.model
    _check_targets(OmegaConf.to_container(model), config)
    model._target_ = "sam2.sam2_video_predictor.SAM2VideoPredictor"
    # Settings of `build_sam2_video_predictor(apply_postprocessing=True)`, except hole filling: it
    # runs only where sam2's CUDA extension was built, so masks would differ between hosts.
    OmegaConf.update(
        model,
        "sam_mask_decoder_extra_args",
        {
            "dynamic_multimask_via_stability": True,
            "dynamic_multimask_stability_delta": 0.05,
            "dynamic_multimask_stability_thresh": 0.98,
        },
        force_add=True,
    )
    OmegaConf.update(model, "binarize_mask_from_pts_for_mem_enc", True, force_add=True)  # noqa: FBT003
    OmegaConf.update(model, "fill_hole_area", 0, force_add=True)
    return model


def _load_weights(predictor: torch.nn.Module, weights: Path, config: Path) -> None:
    try:
        predictor.load_state_dict(read_state_dict(weights))
    except RuntimeError as error:
        # The first line names the class alone.
        _, _, reasons = str(error).partition("\n")
        raise ConfigError(
            f"$.tracker.config must be the architecture of {weights}, got {config}: "
            f"{shortened(reasons or error)}"
        ) from error


def _no_progress_bar(steps: Iterable[int], **_: object) -> Iterable[int]:
    return steps


def shortened(text: object) -> str:
    """Return a reason on one line that can be read."""
    return textwrap.shorten(str(text), _MAX_REASON_CHARS, placeholder=" ...")


def _check_targets(node: object, config: Path) -> None:
    """Raise ConfigError if the config would call anything outside the `sam2` package."""
    if isinstance(node, dict):
        target = node.get("_target_", "sam2.")
        if not str(target).startswith("sam2."):
            raise ConfigError(f"_target_ must be a class of sam2, got {target} ({config})")
        for child in node.values():
            _check_targets(child, config)
    elif isinstance(node, list):
        for child in node:
            _check_targets(child, config)
