"""Weights of baselines in the form in which their authors published them."""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from pvtt_flow.errors import ConfigError
from pvtt_flow.models.sam2.official import shortened
from pvtt_flow.models.sam2.state_dict import read_state_dict


def read_published(weights: Path, method: str) -> dict[str, Tensor]:
    """Read a state dict, as plain data; raise ConfigError for other files."""
    return read_state_dict(weights, _rule(method))


def load_published(
    network: nn.Module, state: Mapping[str, Tensor], weights: Path, method: str
) -> None:
    """Load a state dict; raise ConfigError if its names and shapes are not the network's."""
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        # The first line names the class alone.
        _, _, reasons = str(error).partition("\n")
        raise not_published(weights, method, shortened(reasons or error)) from error


def not_published(weights: Path, method: str, reason: str) -> ConfigError:
    """Return the error for weights of another network."""
    return ConfigError(f"{_rule(method)}, got {weights}: {reason}")


def _rule(method: str) -> str:
    return (
        f"$.tracker.baseline.weights must be a state dict of {method} as its authors published it"
    )
