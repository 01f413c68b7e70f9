"""Official SAM 2 video predictor, built safely from a config file and a checkpoint.

Other architectures are the same predictor with modules of their own inside (`architectures/`).
"""

import textwrap
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from pvtt_flow.errors import ConfigError
from pvtt_flow.models.sam2.architectures.architecture import Architecture
from pvtt_flow.models.sam2.architectures.table import ARCHITECTURES
from pvtt_flow.models.sam2.state_dict import read_state_dict

_RULE = "$.tracker.config must be the architecture of a SAM 2 in YAML"
_MAX_REASON_CHARS = 200


def find_architecture(config: Path) -> Architecture:
    """Return the architecture of a config file; raise ConfigError if there is none."""
    return _architecture_of(_read_model(config), config)


def build_predictor(weights: Path | None, config: Path, device: torch.device) -> Any:
    """Build an official `SAM2VideoPredictor` from a config file and a state dict.

    Without weights its parameters are random. Raises ConfigError for files of another format, for a
    config that names classes of no architecture, and for weights of another config.
    """
    model = _read_model(config)
    architecture = _architecture_of(model, config)
    predictor = _instantiate(model, architecture, config)
    if weights is not None:
        _load_weights(predictor, weights, architecture, config)
    return predictor.float().to(device).eval()


def _architecture_of(model: dict[str, Any], config: Path) -> Architecture:
    for architecture in ARCHITECTURES:
        if architecture.describes(model):
            return architecture
    packages = ", ".join(sorted({a.package for a in ARCHITECTURES}))
    raise ConfigError(f"{_RULE}, got {config} (model._target_ is no class of {packages})")


def _instantiate(model: dict[str, Any], architecture: Architecture, config: Path) -> Any:
    import sam2.sam2_video_predictor as official
    from hydra.utils import instantiate

    # Callers report progress themselves.
    official.tqdm = _no_progress_bar
    ours = _with_classes(model, architecture, config)
    try:
        return instantiate(_with_common_settings(ours, architecture.predictor), _recursive_=True)
    except Exception as error:
        # Hydra wraps what a class raises.
        if isinstance(error.__cause__, ConfigError):
            raise error.__cause__ from error
        raise _unreadable(config, error) from error


def _read_model(config: Path) -> dict[str, Any]:
    from omegaconf import OmegaConf

    try:
        tree: Any = OmegaConf.load(config)
        model: Any = OmegaConf.to_container(tree.model, resolve=True)
    except Exception as error:
        # YAML, OmegaConf and files have errors of their own.
        raise _unreadable(config, error) from error
    if not isinstance(model, dict):
        raise ConfigError(f"{_RULE}, got {config} (model is no mapping)")
    return dict(model)


def _with_classes(node: Any, architecture: Architecture, config: Path) -> Any:
    """Return a part of a config with the classes to build; raise ConfigError for any others."""
    if isinstance(node, list):
        return [_with_classes(child, architecture, config) for child in node]
    if not isinstance(node, dict):
        return node
    found = {key: _with_classes(child, architecture, config) for key, child in node.items()}
    if "_target_" in node:
        target = str(node["_target_"])
        path = architecture.class_path(target)
        if path is None or not _is_network(path):
            raise ConfigError(
                f"_target_ must be a class of {architecture.package} that is a torch.nn.Module, "
                f"got {target} ({config})"
            )
        found["_target_"] = path
    return found


def _is_network(path: str) -> bool:
    """Return whether a path names a class of networks: others may open files or run commands."""
    module, _, name = path.rpartition(".")
    try:
        found = getattr(import_module(module), name, None)
    except ImportError:
        return False
    return isinstance(found, type) and issubclass(found, torch.nn.Module)


def _with_common_settings(model: dict[str, Any], predictor: str) -> dict[str, Any]:
    """Return the config of a `predictor` with the settings that all of ours have.

    They are those of `build_sam2_video_predictor(apply_postprocessing=True)`, except hole filling:
    it runs only where sam2's CUDA extension was built, so masks would differ between hosts. The
    engine compiles for itself.
    """
    decoder = dict(model.get("sam_mask_decoder_extra_args") or {})
    decoder["dynamic_multimask_via_stability"] = True
    decoder["dynamic_multimask_stability_delta"] = 0.05
    decoder["dynamic_multimask_stability_thresh"] = 0.98
    return {
        **model,
        "_target_": predictor,
        "sam_mask_decoder_extra_args": decoder,
        "binarize_mask_from_pts_for_mem_enc": True,
        "fill_hole_area": 0,
        "compile_image_encoder": False,
    }


def _unreadable(config: Path, error: Exception) -> ConfigError:
    return ConfigError(f"{_RULE}, got {config} ({shortened(error)})")


def _load_weights(
    predictor: torch.nn.Module, weights: Path, architecture: Architecture, config: Path
) -> None:
    state = read_state_dict(weights)
    if architecture.own_weights is not None:
        state = architecture.own_weights(state)
    try:
        predictor.load_state_dict(state)
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
