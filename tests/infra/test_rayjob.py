"""The shipped RayJob is accepted; a broken copy is refused for the right reason."""

import pytest

from pvtt_flow.config.loading import load
from pvtt_flow.config.schema import ResourceParams
from tests.infra.checks import pool_errors, rayjob_errors
from tests.infra.manifests import INFRA, MISSING, ROOT, Key, changed, read

RAYJOB = read(INFRA / "rayjob.yaml")
CLUSTER = ("spec", "rayClusterSpec")
HEAD = (*CLUSTER, "headGroupSpec")
WORKER = (*CLUSTER, "workerGroupSpecs", 0)
POD = (*WORKER, "template", "spec")
RAY = (*POD, "containers", 0)


def test_the_rayjob_is_accepted() -> None:
    assert rayjob_errors(RAYJOB) == []


@pytest.mark.parametrize(
    ("key", "value", "error"),
    [
        (("apiVersion",), "ray.io/v1alpha1", "$.apiVersion: 'ray.io/v1' was expected"),
        (("metadata", "name"), "a" * 48, "' is too long"),
        (("metadata", "name"), "9-lives", "$.metadata.name: '9-lives' does not match"),
        (("spec", "backoffLimitt"), 2, "('backoffLimitt' was unexpected)"),
        (("spec", "backoffLimit"), "2", "$.spec.backoffLimit: '2' is not of type 'integer'"),
        (("spec", "submissionMode"), "K8sJobMode", "submissionMode: 'HTTPMode' was expected"),
        (("spec", "submissionMode"), MISSING, "'submissionMode' is a required property"),
        (("spec", "activeDeadlineSeconds"), 0, "0 is less than the minimum of 1"),
        (("spec", "shutdownAfterJobFinishes"), False, "JobFinishes: True was expected"),
        (("spec", "shutdownAfterJobFinishes"), MISSING, "'shutdownAfterJobFinishes' is a required"),
        (("spec", "clusterSelector"), {"a": "b"}, "('clusterSelector' was unexpected)"),
        (("spec", "deletionStrategy"), {}, "('deletionStrategy' was unexpected)"),
        (CLUSTER, MISSING, "'rayClusterSpec' is a required property"),
        ((*CLUSTER, "rayversion"), "2.60.0", "('rayversion' was unexpected)"),
        ((*CLUSTER, "rayVersion"), MISSING, "'rayVersion' is a required property"),
        ((*CLUSTER, "authOptions"), MISSING, "'authOptions' is a required property"),
        ((*CLUSTER, "authOptions", "mode"), "disabled", "mode: 'token' was expected"),
        ((*CLUSTER, "authOptions", "enableK8sTokenAuth"), True, "('enableK8sTokenAuth' was"),
        ((*CLUSTER, "enableInTreeAutoscaling"), True, "('enableInTreeAutoscaling' was unexpected)"),
        ((*CLUSTER, "autoscalerOptions"), {}, "('autoscalerOptions' was unexpected)"),
        ((*HEAD, "rayStartParams", "num-cpus"), 0, "num-cpus']: 0 is not of type 'string'"),
        ((*HEAD, "rayStartParams", "labels"), "a=b", "('labels' was unexpected)"),
        ((*HEAD, "resources"), {"CPU": "0"}, "('resources' was unexpected)"),
        ((*HEAD, "template"), MISSING, "headGroupSpec: 'template' is a required property"),
        ((*HEAD, "template", "spec", "containers", 0, "ports", 1, "name"), "web", "ports: ["),
        ((*WORKER, "numHosts"), 1, "('numHosts' was unexpected)"),
        ((*WORKER, "maxReplicas"), MISSING, "'maxReplicas' is a required property"),
        ((*WORKER, "minReplicas"), 9, "gpu: replicas must be in [minReplicas, maxReplicas] = [9,"),
        ((*WORKER, "replicas"), 5, "[minReplicas, maxReplicas] = [4, 4], got 5"),
        ((*POD, "terminationGracePeriodSecond"), 120, "gpu: spec: Additional properties"),
        ((*POD, "terminationGracePeriodSeconds"), MISSING, "the grace period 30 s, got 110"),
        ((*POD, "securityContext", "runAsNonRoot"), False, "runAsNonRoot: True was expected"),
        ((*POD, "securityContext", "seccompProfile"), MISSING, "'seccompProfile' is a required"),
        ((*POD, "volumes", 0, "name"), "rai", "/ray mounts the volume ray, which the pod lacks"),
        ((*POD, "volumes", 0, "emptyDir"), {}, "/ray must be an emptyDir with a sizeLimit"),
        ((*POD, "volumes", 1, "emptyDir", "medium"), MISSING, "must be an emptyDir in memory"),
        ((*POD, "volumes", 1, "emptyDir", "sizeLimit"), "2Gi", "got 4294967296, 2Gi, 32Gi"),
        ((*RAY, "resources", "limits"), {"cpu": "8"}, "got 4294967296, 5Gi, 0"),
        ((*RAY, "resources", "limit"), {"cpu": "8"}, "'limit' was unexpected"),
        ((*RAY, "envFrom", 0, "secretRef"), "pvtt-flow-s3", "not of type 'object'"),
        ((*RAY, "env", 0, "value"), "130", "the grace period 120 s, got 130"),
        (
            (*RAY, "env", 0),
            {"name": "AWS_SECRET_ACCESS_KEY", "value": "x"},
            "'x'} should not be valid",
        ),
        ((*RAY, "securityContext"), MISSING, "[0]: 'securityContext' is a required property"),
        ((*RAY, "securityContext", "allowPrivilegeEscalation"), True, "False was expected"),
        ((*RAY, "securityContext", "capabilities"), {}, "{'drop': ['ALL']} was expected"),
    ],
)
def test_a_broken_rayjob_is_refused(key: Key, value: object, error: str) -> None:
    errors = rayjob_errors(changed(RAYJOB, key, value))
    assert [e for e in errors if error in e], errors


@pytest.fixture(scope="module")
def resources() -> ResourceParams:
    return load(ROOT / "configs" / "cluster.yaml").resources


def test_the_pools_of_the_config_fit_on_the_workers(resources: ResourceParams) -> None:
    assert pool_errors(RAYJOB, resources) == []


LIMITS = (*RAY, "resources", "limits")


@pytest.mark.parametrize(
    ("key", "value", "error"),
    [
        ((*LIMITS, "nvidia.com/gpu"), MISSING, "0 of 4 propagate actors find a worker with"),
        ((*WORKER, "minReplicas"), 3, "3 of 4 propagate actors find a worker with"),
        ((*LIMITS, "cpu"), "5", "0 of 1 detect actors find a worker with 2 CPUs and 0.1 GPUs"),
        ((*LIMITS, "cpu"), "4100m", "no worker has 1 CPUs left for tasks"),
    ],
)
def test_too_small_workers_are_refused(
    resources: ResourceParams, key: Key, value: object, error: str
) -> None:
    errors = pool_errors(changed(RAYJOB, key, value), resources)
    assert [e for e in errors if error in e], errors
