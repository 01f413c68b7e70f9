"""The official SAM 2 video predictor from a config file and a checkpoint, built with care."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from pvtt_flow.errors import ConfigError


def build_predictor(weights: Path | None, config: Path, device: torch.device) -> Any:
    """The official `SAM2VideoPredictor` from a config file and a state dict (`weights_only`).

    Without weights it is as its constructor leaves it: random.
    """
    import sam2.sam2_video_predictor as official
    from hydra.utils import instantiate
    from omegaconf import OmegaConf

    # The predictor draws a bar over a range that it believes to be the clip.
    official.tqdm = _no_bar
    tree: Any = OmegaConf.load(config)
    model = tree.model
    _check_targets(OmegaConf.to_container(model), config)
    model._target_ = "sam2.sam2_video_predictor.SAM2VideoPredictor"
    # What `build_sam2_video_predictor(apply_postprocessing=True)` sets, except hole filling: it
    # runs only where sam2's CUDA extension was built, so masks would differ from host to host.
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
            f"$.tracker.config must be the architecture of the weights, but {weights} does not "
            f"belong to {config}: {str(error).splitlines()[1].strip()}"
        ) from error


def _no_bar(steps: Iterable[int], **_: object) -> Iterable[int]:
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
    """A config names classes to be called: only those of the sam2 package may be."""
    if isinstance(node, dict):
        target = node.get("_target_", "sam2.")
        if not str(target).startswith("sam2."):
            raise ConfigError(f"{config}: _target_ must be a class of sam2, got {target}")
        for child in node.values():
            _check_targets(child, config)
    elif isinstance(node, list):
        for child in node:
            _check_targets(child, config)
