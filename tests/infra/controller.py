"""The rules of KubeRay's controller that no schema sees; each gives reasons, none when kept."""

import re
from collections.abc import Iterator

from tests.infra.kuberay import Group, RayCluster, RayJob, RayJobSpec
from tests.infra.manifests import Tree

MAX_NAME_LENGTH = 47
_DNS_1035 = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_MIN_AUTH_VERSION = (2, 52)


def controller_reasons(tree: Tree) -> list[str]:
    """Why the controller would fail this RayJob, whose fields are right."""
    job = RayJob.model_validate(tree)
    reasons = [*_name(job.metadata.name), *_modes(job.spec), *_ending(job.spec)]
    if job.spec.ray_cluster_spec is not None:
        reasons += [*_groups(job.spec.ray_cluster_spec), *_scaling(job.spec.ray_cluster_spec)]
        reasons += [*_auth(job.spec.ray_cluster_spec), *_ports(job.spec.ray_cluster_spec)]
    return reasons


def _name(name: str) -> Iterator[str]:
    if len(name) > MAX_NAME_LENGTH:
        yield f"the name has {len(name)} characters, at most {MAX_NAME_LENGTH} are allowed"
    if not _DNS_1035.fullmatch(name):
        yield f"the name {name!r} is not a DNS-1035 label"


def _modes(spec: RayJobSpec) -> Iterator[str]:
    if (spec.ray_cluster_spec is None) == (not spec.cluster_selector):
        yield "exactly one of rayClusterSpec and clusterSelector must be given"
    if spec.cluster_selector and spec.backoff_limit:
        yield "backoffLimit makes a new cluster, which clusterSelector forbids"
    if spec.cluster_selector and spec.suspend:
        yield "suspend deletes the cluster, which clusterSelector forbids"
    if spec.cluster_selector and spec.submission_mode == "SidecarMode":
        yield "SidecarMode needs its own head pod, which clusterSelector forbids"
    if spec.submission_mode == "InteractiveMode" and spec.backoff_limit:
        yield "InteractiveMode allows no backoffLimit"
    if spec.submission_mode == "SidecarMode" and (
        spec.submitter_config is not None or spec.submitter_pod_template is not None
    ):
        yield "SidecarMode has no submitter pod to configure"


def _ending(spec: RayJobSpec) -> Iterator[str]:
    strategy = spec.deletion_strategy
    if spec.ttl_seconds_after_finished and not spec.shutdown_after_job_finishes:
        yield "ttlSecondsAfterFinished needs shutdownAfterJobFinishes"
    if spec.suspend and not spec.shutdown_after_job_finishes:
        yield "suspend needs shutdownAfterJobFinishes"
    if strategy is None:
        return
    if strategy.deletion_rules and spec.shutdown_after_job_finishes:
        yield "deletionRules and shutdownAfterJobFinishes exclude each other"
    legacy = [strategy.on_success, strategy.on_failure]
    if strategy.deletion_rules and any(legacy):
        yield "deletionRules and onSuccess/onFailure exclude each other"
    if not strategy.deletion_rules and not all(legacy):
        yield "deletionStrategy needs deletionRules, or both onSuccess and onFailure"
    for condition in (rule.condition for rule in strategy.deletion_rules):
        if (condition.job_status is None) == (condition.job_deployment_status is None):
            yield "a deletion condition takes one of jobStatus and jobDeploymentStatus"
    cluster = spec.ray_cluster_spec
    policies = {rule.policy for rule in strategy.deletion_rules}
    if "DeleteWorkers" in policies and (cluster is None or cluster.enable_in_tree_autoscaling):
        yield "DeleteWorkers works neither with autoscaling nor with clusterSelector"


def _groups(cluster: RayCluster) -> Iterator[str]:
    for group in cluster.worker_group_specs:
        low, high = group.min_replicas, group.max_replicas
        if not cluster.enable_in_tree_autoscaling and (low is None or high is None):
            yield f"group {group.group_name} needs minReplicas and maxReplicas without autoscaling"
        if low is not None and high is not None and low > high:
            yield f"group {group.group_name} has minReplicas {low} above maxReplicas {high}"
        if low is not None and high is not None and not low <= (group.replicas or 0) <= high:
            yield f"group {group.group_name} has replicas {group.replicas} outside [{low}, {high}]"
    for each in _all_groups(cluster):
        named = {"num-cpus", "num-gpus", "memory", "resources"} & set(each.ray_start_params)
        if each.resources and named:
            yield f"resources and rayStartParams {', '.join(sorted(named))} exclude each other"
        if "labels" in each.ray_start_params:
            yield "rayStartParams takes no labels, they are a field of the group"


def _all_groups(cluster: RayCluster) -> list[Group]:
    return [cluster.head_group_spec, *cluster.worker_group_specs]


def _scaling(cluster: RayCluster) -> Iterator[str]:
    if not cluster.enable_in_tree_autoscaling:
        if cluster.autoscaler_options is not None:
            yield "autoscalerOptions do nothing without enableInTreeAutoscaling"
        return
    # Ray since 2.47 takes version 2 unless told otherwise.
    options = cluster.autoscaler_options
    if options is None or options.version != "v1":
        for policy in (
            g.template["spec"].get("restartPolicy", "Never") for g in _all_groups(cluster)
        ):
            if policy != "Never":
                yield f"autoscaler v2 needs restartPolicy Never, got {policy}"
    head = cluster.head_group_spec.template["spec"]["containers"][0]
    variables = {v["name"] for v in head.get("env", [])}
    if options is not None and options.version and "RAY_enable_autoscaler_v2" in variables:
        yield "autoscalerOptions.version and RAY_enable_autoscaler_v2 exclude each other"


def _auth(cluster: RayCluster) -> Iterator[str]:
    auth = cluster.auth_options
    if auth is None or auth.mode != "token":
        return
    if auth.enable_k8s_token_auth:
        yield "enableK8sTokenAuth is refused for a RayJob"
    version = re.match(r"(\d+)\.(\d+)", cluster.ray_version or "")
    if version is None or tuple(map(int, version.groups())) < _MIN_AUTH_VERSION:
        yield f"authOptions.mode token needs rayVersion 2.52.0 or later, got {cluster.ray_version}"


def _ports(cluster: RayCluster) -> Iterator[str]:
    """KubeRay makes the head's service of these ports and finds the Jobs API by its name."""
    ports = cluster.head_group_spec.template["spec"]["containers"][0].get("ports", [])
    if ports and "dashboard" not in {port.get("name") for port in ports}:
        yield "the head names its ports, and none is dashboard"
