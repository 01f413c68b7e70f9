"""The pools of configs/cluster.yaml fit on the workers of the RayJob."""

import pytest

from pvtt_flow.config.loading import load
from pvtt_flow.config.schema import ResourceParams
from tests.infra.fit import fit_reasons
from tests.infra.manifests import MISSING, ROOT, Key, changed, rayjob

WORKER = ("spec", "rayClusterSpec", "workerGroupSpecs", 0)
LIMITS = (*WORKER, "template", "spec", "containers", 0, "resources", "limits")


@pytest.fixture(scope="module")
def need() -> ResourceParams:
    return load(ROOT / "configs" / "cluster.yaml").resources


def test_all_actors_and_a_task_find_room(need: ResourceParams) -> None:
    assert fit_reasons(rayjob(), need) == []


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ((*LIMITS, "nvidia.com/gpu"), MISSING, "0 of 4 propagate actors find a worker with"),
        ((*WORKER, "minReplicas"), 3, "3 of 4 propagate actors find a worker with"),
        ((*LIMITS, "cpu"), "5", "0 of 1 detect actors find a worker with 2 CPUs and 0.1 GPUs"),
        ((*LIMITS, "cpu"), "4100m", "no worker has 1 CPUs left for tasks"),
    ],
)
def test_too_little_is_named(need: ResourceParams, key: Key, value: object, reason: str) -> None:
    assert any(reason in found for found in fit_reasons(changed(rayjob(), key, value), need))
