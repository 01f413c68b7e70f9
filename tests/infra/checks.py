"""Checks of a RayJob: the schemas, the rules between fields, and room for a config's pools."""

from collections.abc import Iterator

import jsonschema
import kubernetes_validate

from pvtt_flow.config.schema import ResourceParams
from tests.infra.manifests import SCHEMA, Tree, groups, quantity, ray_container, read

KUBERNETES_VERSION = "1.32"
DRAIN_VARIABLE = "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S"
RAY_TEMP = "/tmp/ray"  # noqa: S108
SHARED_MEMORY = "/dev/shm"  # noqa: S108


def rayjob_errors(rayjob: Tree) -> list[str]:
    """Return why KubeRay, Kubernetes or Ray would refuse or mistreat the RayJob."""
    validator = jsonschema.Draft202012Validator(read(SCHEMA))
    errors = [f"{error.json_path}: {error.message}" for error in validator.iter_errors(rayjob)]
    if errors:  # The checks below read fields that the schema requires.
        return errors
    for name, group in groups(rayjob).items():
        pod = {"apiVersion": "v1", "kind": "Pod", **group["template"]}
        group_errors = kubernetes_errors(pod) or [*_pod_errors(group)]
        if name != "head":
            group_errors += [*_replicas_errors(group), *_drain_errors(group)]
        errors += [f"{name}: {error}" for error in group_errors]
    return errors


def kubernetes_errors(manifest: Tree) -> list[str]:
    """Return why the API server would refuse or silently change a manifest of a built-in kind."""
    try:
        kubernetes_validate.validate(manifest, KUBERNETES_VERSION, strict=True)
    except kubernetes_validate.ValidationError as error:
        return [f"{'.'.join(map(str, error.path))}: {error.message}"]
    return []


def _pod_errors(group: Tree) -> Iterator[str]:
    """Check the volumes; shared memory holds the object store and counts as container memory."""
    volumes = {volume["name"]: volume for volume in group["template"]["spec"].get("volumes", [])}
    container = ray_container(group)
    mounted = {mount["mountPath"]: mount["name"] for mount in container.get("volumeMounts", [])}
    for path, volume in mounted.items():
        if volume not in volumes:
            yield f"{path} mounts the volume {volume}, which the pod lacks"
    empty_dirs = {path: volumes.get(name, {}).get("emptyDir", {}) for path, name in mounted.items()}
    if "sizeLimit" not in empty_dirs.get(RAY_TEMP, {}):
        yield f"{RAY_TEMP} must be an emptyDir with a sizeLimit"
    shared_memory = empty_dirs.get(SHARED_MEMORY, {})
    if shared_memory.get("medium") != "Memory":
        yield f"{SHARED_MEMORY} must be an emptyDir in memory"
    store = group["rayStartParams"]["object-store-memory"]
    limit = container.get("resources", {}).get("limits", {}).get("memory", 0)
    shared = shared_memory.get("sizeLimit", 0)
    if not quantity(store) < quantity(shared) < quantity(limit):
        yield (
            f"object store < {SHARED_MEMORY} < memory limit must hold, "
            f"got {store}, {shared}, {limit}"
        )


def _replicas_errors(group: Tree) -> Iterator[str]:
    low, replicas, high = (group[key] for key in ("minReplicas", "replicas", "maxReplicas"))
    if not low <= replicas <= high:
        yield f"replicas must be in [minReplicas, maxReplicas] = [{low}, {high}], got {replicas}"


def _drain_errors(group: Tree) -> Iterator[str]:
    """Check that Ray has drained the node, which starts at SIGTERM, before SIGKILL comes."""
    grace_s = group["template"]["spec"].get("terminationGracePeriodSeconds", 30)
    variables = {v["name"]: v.get("value") for v in ray_container(group).get("env", [])}
    drain_s = float(variables.get(DRAIN_VARIABLE) or 30)
    if not 0.8 * grace_s <= drain_s < grace_s:
        yield f"{DRAIN_VARIABLE} must be just below the grace period {grace_s} s, got {drain_s:g}"


def pool_errors(rayjob: Tree, resources: ResourceParams) -> list[str]:
    """Place every actor on the first worker with room, the largest first, as Ray does."""
    workers = [
        [quantity(limits.get(name, 0)) for name in ("cpu", "nvidia.com/gpu")]
        for name, group in groups(rayjob).items()
        if name != "head"
        for limits in [ray_container(group).get("resources", {}).get("limits", {})]
        for _ in range(group["minReplicas"])
    ]
    errors = []
    pools = {"propagate": resources.propagate, "detect": resources.detect}
    for name, pool in sorted(pools.items(), key=lambda p: (-p[1].num_gpus, -p[1].num_cpus)):
        placed = sum(_place(workers, pool.num_cpus, pool.num_gpus) for _ in range(pool.actors))
        if placed < pool.actors:
            errors.append(
                f"{placed} of {pool.actors} {name} actors find a worker with "
                f"{pool.num_cpus:g} CPUs and {pool.num_gpus:g} GPUs free"
            )
    task_cpus = max(resources.inspect_num_cpus, resources.write_num_cpus)
    if not _place(workers, task_cpus, 0):
        errors.append(f"no worker has {task_cpus:g} CPUs left for tasks")
    return errors


def _place(workers: list[list[float]], cpus: float, gpus: float) -> bool:
    """Take CPUs and GPUs from the first worker that has them; Ray counts ten-thousandths."""
    for free in workers:
        if free[0] - cpus > -1e-4 and free[1] - gpus > -1e-4:
            free[:] = [free[0] - cpus, free[1] - gpus]
            return True
    return False
