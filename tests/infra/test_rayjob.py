"""The RayJob is one that KubeRay takes; a broken copy is refused for the right reason."""

import pytest

from tests.infra.controller import controller_reasons
from tests.infra.kuberay import field_reasons
from tests.infra.manifests import MISSING, Key, changed, rayjob

SPEC = ("spec",)
CLUSTER = (*SPEC, "rayClusterSpec")
HEAD = (*CLUSTER, "headGroupSpec")
WORKER = (*CLUSTER, "workerGroupSpecs", 0)


def test_the_rayjob_is_accepted() -> None:
    assert field_reasons(rayjob()) == []
    assert controller_reasons(rayjob()) == []


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ((*SPEC, "backoffLimitt"), 2, "spec.backoffLimitt: Extra inputs are not permitted"),
        ((*CLUSTER, "rayversion"), "2.60.0", "spec.rayClusterSpec.rayversion: Extra inputs"),
        ((*WORKER, "numHosts"), 1, "spec.rayClusterSpec.workerGroupSpecs.0.numHosts: Extra"),
        ((*SPEC, "submissionMode"), "Foo", "spec.submissionMode: Input should be 'K8sJobMode'"),
        ((*SPEC, "backoffLimit"), "2", "spec.backoffLimit: Input should be a valid integer"),
        ((*SPEC, "activeDeadlineSeconds"), 0, "spec.activeDeadlineSeconds: Input should be gr"),
        ((*HEAD, "rayStartParams", "num-cpus"), 0, "rayStartParams.num-cpus: Input should be a v"),
        ((*HEAD, "template"), MISSING, "headGroupSpec.template: Field required"),
        (("apiVersion",), "ray.io/v1alpha1", "apiVersion: Input should be 'ray.io/v1'"),
    ],
)
def test_a_wrong_field_is_named(key: Key, value: object, reason: str) -> None:
    (found,) = field_reasons(changed(rayjob(), key, value))
    assert reason in found


RULE = {"policy": "DeleteWorkers", "condition": {"jobStatus": "FAILED"}}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({("metadata", "name"): "a" * 48}, "the name has 48 characters, at most 47"),
        ({("metadata", "name"): "9-lives"}, "'9-lives' is not a DNS-1035 label"),
        ({(*SPEC, "clusterSelector"): {"a": "b"}}, "exactly one of rayClusterSpec and"),
        (
            {CLUSTER: MISSING, (*SPEC, "clusterSelector"): {"ray.io/cluster": "b"}},
            "backoffLimit makes a new cluster",
        ),
        ({(*SPEC, "submissionMode"): "InteractiveMode"}, "InteractiveMode allows no backoffLimit"),
        ({(*SPEC, "shutdownAfterJobFinishes"): False}, "needs shutdownAfterJobFinishes"),
        ({(*SPEC, "deletionStrategy"): {"deletionRules": [RULE]}}, "exclude each other"),
        ({(*SPEC, "deletionStrategy"): {}}, "deletionStrategy needs deletionRules, or both"),
        ({(*WORKER, "minReplicas"): 9}, "minReplicas 9 above maxReplicas 4"),
        ({(*WORKER, "replicas"): 5}, "replicas 5 outside [4, 4]"),
        ({(*WORKER, "maxReplicas"): MISSING}, "needs minReplicas and maxReplicas without"),
        ({(*HEAD, "resources"): {"CPU": "0"}}, "rayStartParams num-cpus exclude each other"),
        ({(*CLUSTER, "autoscalerOptions"): {"version": "v2"}}, "do nothing without enableInTree"),
        (
            {
                (*CLUSTER, "enableInTreeAutoscaling"): True,
                (*WORKER, "template", "spec", "restartPolicy"): "Always",
            },
            "autoscaler v2 needs restartPolicy Never, got Always",
        ),
        ({(*CLUSTER, "rayVersion"): MISSING}, "needs rayVersion 2.52.0 or later, got None"),
        ({(*CLUSTER, "rayVersion"): "2.9.3"}, "needs rayVersion 2.52.0 or later, got 2.9.3"),
        (
            {(*HEAD, "template", "spec", "containers", 0, "ports", 1, "name"): "web"},
            "none is dashboard",
        ),
    ],
)
def test_a_broken_rule_is_named(changes: dict[Key, object], reason: str) -> None:
    broken = rayjob()
    for key, value in changes.items():
        broken = changed(broken, key, value)
    assert field_reasons(broken) == []
    assert any(reason in found for found in controller_reasons(broken))
