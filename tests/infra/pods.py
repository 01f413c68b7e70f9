"""What must hold of the pods in a RayJob: the Kubernetes schema, and how Ray lives in them."""

import re
from collections.abc import Iterator

import kubernetes_validate  # type: ignore[import-untyped]

from tests.infra.manifests import Tree, quantity

KUBERNETES_VERSION = "1.32"
DRAIN_VARIABLE = "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S"
RAY_TEMP = "/tmp/ray"  # noqa: S108
SHARED_MEMORY = "/dev/shm"  # noqa: S108
_SECRET_NAME = re.compile(r"KEY|SECRET|TOKEN|PASSWORD")


def groups(rayjob: Tree) -> dict[str, Tree]:
    """Head and worker groups by name."""
    cluster = rayjob["spec"]["rayClusterSpec"]
    workers = {group["groupName"]: group for group in cluster["workerGroupSpecs"]}
    return {"head": cluster["headGroupSpec"], **workers}


def ray_container(group: Tree) -> Tree:
    """The container that KubeRay starts Ray in: the first one."""
    container: Tree = group["template"]["spec"]["containers"][0]
    return container


def schema_reasons(manifest: Tree) -> list[str]:
    """Why the API server would refuse or quietly change a manifest of a built-in kind."""
    try:
        kubernetes_validate.validate(manifest, KUBERNETES_VERSION, strict=True)
    except kubernetes_validate.ValidationError as error:
        return [f"{'.'.join(map(str, error.path))}: {error.message}"]
    return []


def pod_reasons(rayjob: Tree) -> list[str]:
    """Every reason, under the name of its group."""
    return [
        f"{name}: {reason}"
        for name, group in groups(rayjob).items()
        for reason in _group_reasons(group, drained=name != "head")
    ]


def _group_reasons(group: Tree, *, drained: bool) -> list[str]:
    refused = schema_reasons({"apiVersion": "v1", "kind": "Pod", **group["template"]})
    if refused:  # The rules below read fields that the schema vouches for.
        return refused
    rules = [_mounts, _security, _memory, _secrets, *([_drain] if drained else [])]
    return [reason for rule in rules for reason in rule(group)]


def _mounted(group: Tree) -> dict[str, Tree | None]:
    """Volumes by where the Ray container mounts them; None is a volume that the pod has not."""
    volumes = {volume["name"]: volume for volume in group["template"]["spec"].get("volumes", [])}
    mounts = ray_container(group).get("volumeMounts", [])
    return {mount["mountPath"]: volumes.get(mount["name"]) for mount in mounts}


def _empty_dir(group: Tree, path: str) -> Tree:
    """The emptyDir at a path; empty when there is none."""
    found: Tree = (_mounted(group).get(path) or {}).get("emptyDir") or {}
    return found


def _mounts(group: Tree) -> Iterator[str]:
    for path, volume in _mounted(group).items():
        if volume is None:
            yield f"{path} mounts a volume that the pod has not"
    if "sizeLimit" not in _empty_dir(group, RAY_TEMP):
        yield f"{RAY_TEMP} must be an emptyDir with a sizeLimit"
    if _empty_dir(group, SHARED_MEMORY).get("medium") != "Memory":
        yield f"{SHARED_MEMORY} must be an emptyDir in memory"


def _security(group: Tree) -> Iterator[str]:
    pod = group["template"]["spec"].get("securityContext", {})
    if pod.get("runAsNonRoot") is not True:
        yield "the pod must have runAsNonRoot"
    if pod.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        yield "the pod must have the RuntimeDefault seccomp profile"
    for container in group["template"]["spec"]["containers"]:
        own = container.get("securityContext", {})
        if own.get("allowPrivilegeEscalation") is not False:
            yield f"{container['name']} must forbid privilege escalation"
        if own.get("capabilities", {}).get("drop") != ["ALL"]:
            yield f"{container['name']} must drop all capabilities"


def _memory(group: Tree) -> Iterator[str]:
    """The object store lies in shared memory, which counts as the container's memory."""
    limit = ray_container(group).get("resources", {}).get("limits", {}).get("memory")
    shared = _empty_dir(group, SHARED_MEMORY).get("sizeLimit")
    store = group.get("rayStartParams", {}).get("object-store-memory")
    sizes = f"object store {store} < {SHARED_MEMORY} {shared} < memory limit {limit}"
    if None in (store, shared, limit):
        yield f"all must be given: {sizes}"
    elif not quantity(store) < quantity(shared) < quantity(limit):
        yield f"must hold: {sizes}"


def _secrets(group: Tree) -> Iterator[str]:
    for variable in ray_container(group).get("env", []):
        if _SECRET_NAME.search(variable["name"]) and "value" in variable:
            yield f"{variable['name']} must come from a Secret, not from the manifest"


def _drain(group: Tree) -> Iterator[str]:
    """Ray drains a node on SIGTERM for as long as the variable says; then comes SIGKILL."""
    grace_s = group["template"]["spec"].get("terminationGracePeriodSeconds", 30)
    variables = {v["name"]: v.get("value") for v in ray_container(group).get("env", [])}
    drain_s = float(variables.get(DRAIN_VARIABLE) or 30)
    if not 0.8 * grace_s <= drain_s < grace_s:
        yield f"{DRAIN_VARIABLE} {drain_s:g} must be just below the grace period of {grace_s} s"
