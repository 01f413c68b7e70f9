"""Do the pools of a config fit on the workers of a RayJob?"""

from pvtt_flow.config.schema import ResourceParams
from tests.infra.manifests import Tree, quantity
from tests.infra.pods import groups, ray_container

# Ray counts resources in ten-thousandths.
_UNITS = 10_000


def fit_reasons(rayjob: Tree, need: ResourceParams) -> list[str]:
    """Places every actor, the largest first, as Ray does: on the first worker with room."""
    free = [
        [_units(quantity(limits.get(name, 0))) for name in ("cpu", "nvidia.com/gpu")]
        for name, group in groups(rayjob).items()
        if name != "head"
        for limits in [ray_container(group).get("resources", {}).get("limits", {})]
        for _ in range(group.get("minReplicas", 0))
    ]
    pools = {"propagate": need.propagate, "detect": need.detect}
    reasons = []
    for name, pool in sorted(pools.items(), key=lambda p: (p[1].num_gpus, p[1].num_cpus))[::-1]:
        want = [_units(pool.num_cpus), _units(pool.num_gpus)]
        placed = sum(_place(want, free) for _ in range(pool.actors))
        if placed < pool.actors:
            reasons.append(
                f"{placed} of {pool.actors} {name} actors find a worker with "
                f"{pool.num_cpus:g} CPUs and {pool.num_gpus:g} GPUs free"
            )
    task = max(need.inspect_num_cpus, need.write_num_cpus)
    if not _place([_units(task), 0], free):
        reasons.append(f"no worker has {task:g} CPUs left for tasks")
    return reasons


def _units(amount: float) -> int:
    return round(amount * _UNITS)


def _place(want: list[int], free: list[list[int]]) -> bool:
    for worker in free:
        if all(w <= f for w, f in zip(want, worker, strict=True)):
            worker[:] = [f - w for w, f in zip(want, worker, strict=True)]
            return True
    return False
