"""The pods are valid, hardened, and give Ray the room it needs."""

import pytest

from tests.infra.manifests import MISSING, Key, changed, rayjob
from tests.infra.pods import pod_reasons

WORKER = ("spec", "rayClusterSpec", "workerGroupSpecs", 0)
POD = (*WORKER, "template", "spec")
RAY = (*POD, "containers", 0)


def test_the_pods_are_accepted() -> None:
    assert pod_reasons(rayjob()) == []


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ((*POD, "terminationGracePeriodSecond"), 120, "terminationGracePeriodSecond"),
        ((*RAY, "resources", "limit"), {"cpu": "8"}, "'limit' was unexpected"),
        ((*RAY, "envFrom", 0, "secretRef"), "pvtt-flow-s3", "not of type 'object'"),
        ((*POD, "volumes", 0, "name"), "rai", "mounts a volume that the pod has not"),
        ((*POD, "volumes", 1, "emptyDir", "medium"), MISSING, "must be an emptyDir in memory"),
        ((*POD, "volumes", 1, "emptyDir", "sizeLimit"), "2Gi", "must hold: object store 42949"),
        ((*RAY, "resources", "limits"), {"cpu": "8"}, "memory limit None"),
        ((*POD, "securityContext", "runAsNonRoot"), False, "the pod must have runAsNonRoot"),
        ((*RAY, "securityContext"), MISSING, "ray-worker must drop all capabilities"),
        ((*RAY, "env", 0, "value"), "130", "130 must be just below the grace period of 120 s"),
        ((*POD, "terminationGracePeriodSeconds"), MISSING, "the grace period of 30 s"),
        (
            (*RAY, "env", 0),
            {"name": "AWS_SECRET_ACCESS_KEY", "value": "x"},
            "AWS_SECRET_ACCESS_KEY must come from a Secret",
        ),
    ],
)
def test_a_fault_is_named(key: Key, value: object, reason: str) -> None:
    reasons = pod_reasons(changed(rayjob(), key, value))
    assert all(found.startswith("gpu: ") for found in reasons)
    assert any(reason in found for found in reasons)
