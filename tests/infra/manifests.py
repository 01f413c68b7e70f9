"""The files under test, as plain trees, and copies of them with one value changed."""

import copy
import json
from pathlib import Path
from typing import Any

import yaml

Tree = dict[str, Any]
Key = tuple[str | int, ...]

ROOT = Path(__file__).parents[2]
INFRA = ROOT / "infra"
MISSING: Any = object()


def read(path: Path) -> Tree:
    tree = yaml.safe_load(path.read_text())
    if not isinstance(tree, dict):
        raise TypeError(f"{path} must hold one mapping, got {type(tree).__name__}")
    # YAML's anchors make one object of several, and a change to one would change them all.
    separate: Tree = json.loads(json.dumps(tree))
    return separate


def rayjob() -> Tree:
    return read(INFRA / "rayjob.yaml")


def kustomization() -> Tree:
    return read(INFRA / "kustomization.yaml")


def changed(tree: Tree, key: Key, value: object) -> Tree:
    """A deep copy with `value` at `key`; MISSING takes the key out."""
    result: Any = copy.deepcopy(tree)
    *parents, last = key
    node = result
    for parent in parents:
        node = node[parent] if isinstance(parent, int) else node.setdefault(parent, {})
    if value is MISSING:
        del node[last]
    else:
        node[last] = value
    return result  # type: ignore[no-any-return]


def quantity(text: object) -> float:
    """A Kubernetes quantity as a number: "500m" is 0.5, "2Gi" is 2 * 2**30."""
    number = str(text)
    scales = {"m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
    scales |= {f"{letter}i": 2.0 ** (10 * power) for power, letter in enumerate("KMGT", start=1)}
    for suffix in sorted(scales, key=len, reverse=True):
        if number.endswith(suffix):
            return float(number.removesuffix(suffix)) * scales[suffix]
    return float(number)
