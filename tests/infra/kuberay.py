"""What KubeRay 1.7 takes as a RayJob: field names and types of its custom resource (ray.io/v1).

The API server drops a field that it does not know without a word, and the resource has no enum
for some values, so both are strict here. Parts that we leave to defaults are named and not looked
into; pod templates are looked into by `pods`.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from tests.infra.manifests import Tree

Opaque = dict[str, Any]
Strings = dict[str, str]
Count = Annotated[int, Field(ge=0)]
Policy = Literal["DeleteWorkers", "DeleteCluster", "DeleteSelf", "DeleteNone"]


class _Resource(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", strict=True, frozen=True)


class Metadata(_Resource):
    name: str
    namespace: str | None = None
    labels: Strings = {}
    annotations: Strings = {}


class AuthOptions(_Resource):
    mode: Literal["disabled", "token"] = "token"
    secret_name: str | None = None
    enable_k8s_token_auth: bool | None = Field(None, alias="enableK8sTokenAuth")


class AutoscalerOptions(_Resource):
    version: Literal["v1", "v2"] | None = None
    idle_timeout_seconds: Count | None = None
    upscaling_mode: Literal["Default", "Aggressive", "Conservative"] | None = None
    image: str | None = None
    image_pull_policy: str | None = None
    resources: Opaque | None = None
    security_context: Opaque | None = None
    env: list[Opaque] = []
    env_from: list[Opaque] = []
    volume_mounts: list[Opaque] = []
    command: list[str] = []
    args: list[str] = []


class Group(_Resource):
    template: Tree
    ray_start_params: Strings = {}
    resources: Strings = {}
    labels: Strings = {}


class HeadGroup(Group):
    service_type: str | None = None
    head_service: Opaque | None = None
    enable_ingress: bool | None = None
    ingress_options: Opaque | None = None


class WorkerGroup(Group):
    group_name: str
    replicas: Count | None = None
    min_replicas: Count | None = None
    max_replicas: Count | None = None
    num_of_hosts: Count = 1
    idle_timeout_seconds: Count | None = None
    priority: int | None = None
    suspend: bool | None = None
    scale_strategy: Opaque | None = None


class RayCluster(_Resource):
    head_group_spec: HeadGroup
    worker_group_specs: list[WorkerGroup] = []
    ray_version: str | None = None
    auth_options: AuthOptions | None = None
    enable_in_tree_autoscaling: bool = False
    autoscaler_options: AutoscalerOptions | None = None
    suspend: bool | None = None
    managed_by: str | None = None
    head_service_annotations: Strings = {}
    gcs_fault_tolerance_options: Opaque | None = None
    history_server_options: Opaque | None = None
    network_policy: Opaque | None = None
    tls_options: Opaque | None = None
    upgrade_strategy: Opaque | None = None


class DeletionCondition(_Resource):
    job_status: Literal["SUCCEEDED", "FAILED"] | None = None
    job_deployment_status: Literal["Failed"] | None = None
    ttl_seconds: Count = 0


class DeletionRule(_Resource):
    policy: Policy
    condition: DeletionCondition


class DeletionPolicy(_Resource):
    policy: Policy


class DeletionStrategy(_Resource):
    deletion_rules: list[DeletionRule] = []
    on_success: DeletionPolicy | None = None
    on_failure: DeletionPolicy | None = None


class SubmitterConfig(_Resource):
    backoff_limit: Count | None = None


class RayJobSpec(_Resource):
    entrypoint: str = ""
    entrypoint_num_cpus: float = 0.0
    entrypoint_num_gpus: float = 0.0
    entrypoint_resources: str = ""
    submission_mode: Literal["K8sJobMode", "HTTPMode", "SidecarMode", "InteractiveMode"] = (
        "K8sJobMode"
    )
    submitter_config: SubmitterConfig | None = None
    submitter_pod_template: Tree | None = None
    ray_cluster_spec: RayCluster | None = None
    cluster_selector: Strings = {}
    backoff_limit: Count = 0
    active_deadline_seconds: Annotated[int, Field(ge=1)] | None = None
    pre_running_deadline_seconds: Annotated[int, Field(ge=1)] | None = None
    shutdown_after_job_finishes: bool = False
    ttl_seconds_after_finished: Count = 0
    deletion_strategy: DeletionStrategy | None = None
    suspend: bool = False
    managed_by: Literal["ray.io/kuberay-operator", "kueue.x-k8s.io/multikueue"] | None = None
    job_id: str = ""
    metadata: Strings = {}
    runtime_env_yaml: str = Field("", alias="runtimeEnvYAML")


class RayJob(_Resource):
    api_version: Literal["ray.io/v1"]
    kind: Literal["RayJob"]
    metadata: Metadata
    spec: RayJobSpec


def field_reasons(rayjob: Tree) -> list[str]:
    """Why the API server would refuse or quietly change this RayJob; empty when it would not."""
    try:
        RayJob.model_validate(rayjob)
    except ValidationError as error:
        return [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
    return []
