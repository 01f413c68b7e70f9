"""The YAML files of infra/, as plain trees, and their parts."""

import copy
import json
from pathlib import Path
from typing import Any

import yaml

Tree = dict[str, Any]
Key = tuple[str | int, ...]

ROOT = Path(__file__).parents[2]
INFRA = ROOT / "infra"
SCHEMA = Path(__file__).parent / "schemas" / "rayjob.yaml"
MISSING = object()


def read(path: Path) -> Tree:
    """Read a YAML mapping; YAML's anchors become separate copies, so that each can be changed."""
    tree: Tree = json.loads(json.dumps(yaml.safe_load(path.read_text())))
    return tree


def changed(tree: Tree, key: Key, value: object) -> Tree:
    """Return a deep copy with `value` at `key`, or without that key if `value` is MISSING."""
    result = copy.deepcopy(tree)
    node: Any = result
    for parent in key[:-1]:
        node = node[parent]
    if value is MISSING:
        del node[key[-1]]
    else:
        node[key[-1]] = value
    return result


def groups(rayjob: Tree) -> dict[str, Tree]:
    """Return the head group, as "head", and the worker groups by name."""
    cluster = rayjob["spec"]["rayClusterSpec"]
    workers = {group["groupName"]: group for group in cluster["workerGroupSpecs"]}
    return {"head": cluster["headGroupSpec"], **workers}


def ray_container(group: Tree) -> Tree:
    """Return the container in which KubeRay starts Ray: the first one."""
    container: Tree = group["template"]["spec"]["containers"][0]
    return container


def quantity(text: object) -> float:
    """Return a Kubernetes quantity as a number: "500m" is 0.5, "2Gi" is 2 * 2**30."""
    scales = {"": 1, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
    scales |= {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
    digits = str(text).rstrip("mkKMGTi")
    return float(digits) * scales[str(text)[len(digits) :]]
