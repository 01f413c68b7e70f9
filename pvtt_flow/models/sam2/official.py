"""Official SAM 2 video predictor, built safely from a config file and a checkpoint."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from pvtt_flow.errors import ConfigError


def build_predictor(weights: Path | None, config: Path, device: torch.device) -> Any:
    """Build an official `SAM2VideoPredictor` from a config file and a state dict.

    Without weights its parameters are random. Raises ConfigError for a config that names classes
    outside the `sam2` package, and for weights that do not belong to the config.
    """
    import sam2.sam2_video_predictor as official
    from hydra.utils import instantiate
    from omegaconf import OmegaConf

    # Callers report progress themselves.
    official.tqdm = _no_progress_bar
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
    predictor = instantiate(model, _recursive_=True)
    if weights is not None:
        _load_weights(predictor, weights, config)
    return predictor.float().to(device).eval()


def _load_weights(predictor: torch.nn.Module, weights: Path, config: Path) -> None:
    try:
        predictor.load_state_dict(_state_dict(weights))
    except RuntimeError as error:
        raise ConfigError(
            f"$.tracker.config must be the architecture of {weights}, got {config}: "
            f"{str(error).splitlines()[1].strip()}"
        ) from error


def _no_progress_bar(steps: Iterable[int], **_: object) -> Iterable[int]:
    return steps


def _state_dict(weights: Path) -> dict[str, torch.Tensor]:
    saved = torch.load(weights, map_location="cpu", weights_only=True)
    if not isinstance(saved, dict) or "model" not in saved:
        raise ConfigError(
            f"$.tracker.weights must be a SAM 2 checkpoint with its state dict under `model`, "
            f"got {weights}"
        )
    state: dict[str, torch.Tensor] = saved["model"]
    return state


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
