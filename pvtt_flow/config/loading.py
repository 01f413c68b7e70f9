"""Load a config from YAML and `--set` overrides, and write it back."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from pvtt_flow.config.errors import explain
from pvtt_flow.config.schema import RunConfig
from pvtt_flow.core.qc import QcThresholds
from pvtt_flow.errors import ConfigError
from pvtt_flow.params import Params

ParamsT = TypeVar("ParamsT", bound=Params)


def load(path: Path, overrides: Sequence[str] = ()) -> RunConfig:
    """Load a YAML file and apply `a.b=c` overrides; raises ConfigError."""
    tree = read_tree(path)
    for override in overrides:
        _apply_override(tree, override)
    return parse(tree)


def parse(tree: Mapping[str, Any]) -> RunConfig:
    """Check a tree of plain values; raises ConfigError with a line for each bad value."""
    return validate(RunConfig, tree)


def read_tree(path: Path) -> dict[str, Any]:
    """Read the plain values of a YAML file; raises ConfigError."""
    try:
        tree = yaml.safe_load(path.read_text())
    except FileNotFoundError:
        raise ConfigError(f"config file not found: {path}") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path} must be a YAML file: {error}") from error
    if not isinstance(tree, dict):
        raise ConfigError(f"{path} must hold a mapping of sections, got {type(tree).__name__}")
    return tree


def load_thresholds(overrides: Sequence[str], base: QcThresholds) -> QcThresholds:
    """Apply `qc.a=b` overrides to thresholds; raises ConfigError."""
    tree: dict[str, Any] = {"qc": base.model_dump()}
    for override in overrides:
        _apply_override(tree, override)
    if unexpected := sorted(tree.keys() - {"qc"}):
        raise ConfigError(f"--set must be qc.KEY=VALUE here, got {', '.join(unexpected)}")
    return validate(QcThresholds, tree.get("qc", {}), "qc", root=RunConfig)


def dump(config: RunConfig) -> str:
    """Return the whole config, defaults included, as YAML that `load` reads."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)


def validate(
    model: type[ParamsT], tree: Any, *section: str, root: type[Params] | None = None
) -> ParamsT:
    """Return the plain values as `model`, which is at `section` of `root`; raises ConfigError."""
    try:
        # Through JSON, where strict validation refuses "1.5" as a number but takes a list as a
        # tuple.
        return model.model_validate_json(json.dumps(tree, default=str))
    except ValidationError as error:
        lines = [
            explain({**e, "loc": (*section, *e["loc"])}, root or model) for e in error.errors()
        ]
        raise ConfigError("\n".join(lines)) from None


def _apply_override(tree: dict[str, Any], override: str) -> None:
    """Set one value in place; the value is YAML: `[a, b]` is a list and `null` is null."""
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise ConfigError(f"--set must be KEY.PATH=VALUE, got {override!r}")
    *parents, last = key.removeprefix("$.").split(".")
    node = tree
    for parent in parents:
        child = node.setdefault(parent, {})
        if not isinstance(child, dict):
            raise ConfigError(f"--set {override}: $.{parent} must be a section to set a key in")
        node = child
    try:
        node[last] = yaml.safe_load(text)
    except yaml.YAMLError:
        raise ConfigError(f"--set {key} must have a YAML value, got {text!r}") from None
