"""State dicts of SAM 2, from the forms in which checkpoints are saved."""

from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor

from pvtt_flow.errors import ConfigError

StateDict: TypeAlias = dict[str, Tensor]

_RULE = "$.tracker.weights must be a SAM 2 checkpoint, a state dict or one under `model`"
# Keys under which Meta's files, Lightning and others put the state dict.
_CONTAINERS = ("model", "state_dict", "model_state_dict")
# Names that transformers gives to the weights of its own implementation.
_TRANSFORMERS = "vision_encoder."


def read_state_dict(weights: Path, rule: str = _RULE) -> StateDict:
    """Read a `.safetensors` file, or a pickle whose hash was checked; `rule` begins errors.

    Takes a bare state dict and one in a container, and drops prefixes that wrappers as
    `DistributedDataParallel` (`module.`) and `torch.compile` (`_orig_mod.`) put before all names.
    Raises ConfigError for other files, and for values that are not finite.
    """
    state = _contained(_load(weights, rule))
    if not state or not all(isinstance(value, Tensor) for value in state.values()):
        raise ConfigError(f"{rule}, got {weights}")
    state = _without_prefix(state)
    if any(name.startswith(_TRANSFORMERS) for name in state):
        raise ConfigError(
            f"{rule}, got {weights} with the names of transformers; take the checkpoint "
            "that its authors published"
        )
    for name, value in state.items():
        if value.is_floating_point() and not value.isfinite().all():
            raise ConfigError(f"{rule} of finite numbers, got NaN or infinity in {name}")
    return state


def _load(weights: Path, rule: str) -> Any:
    try:
        if weights.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(weights)
        return torch.load(weights, map_location="cpu", weights_only=True)
    except Exception as error:
        # Both raise errors of any class at a file that is damaged, or that is of another format.
        raise ConfigError(f"{rule}, got {weights} ({type(error).__name__})") from error


def _contained(saved: Any) -> Any:
    if not isinstance(saved, dict):
        return None
    found = (saved[name] for name in _CONTAINERS if isinstance(saved.get(name), dict))
    return next(found, saved)


def _without_prefix(state: StateDict) -> StateDict:
    """Drop the first parts that all names share; those of a SAM 2 differ in the first part."""
    while True:
        first = {name.partition(".")[0] for name in state}
        if len(first) > 1 or not all("." in name for name in state):
            return state
        state = {name.partition(".")[2]: value for name, value in state.items()}
