"""Place the actors of a run on the machines of a cluster, as Ray would. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from pvtt_flow.config.schema import ResourceParams
from pvtt_flow.pipeline.ray_session import Node

# Ray counts resources in ten-thousandths.
_EPSILON = 1e-4


@dataclass(slots=True)
class _Free:
    """Free resources of a machine."""

    num_cpus: float
    gpus: list[float]
    """Free part of each GPU. An actor shares one GPU, or has some of them alone."""

    def take(self, num_cpus: float, num_gpus: float) -> bool:
        """Take resources; return False if they are not there."""
        if num_cpus > self.num_cpus + _EPSILON:
            return False
        if num_gpus >= 1:
            whole = [i for i, free in enumerate(self.gpus) if free > 1 - _EPSILON]
            chosen, part = whole[: round(num_gpus)], 1.0
            if len(chosen) < round(num_gpus):
                return False
        elif num_gpus > 0:
            partial = [i for i, free in enumerate(self.gpus) if free > num_gpus - _EPSILON]
            # The fullest one, so that whole GPUs stay whole.
            chosen, part = sorted(partial, key=lambda i: self.gpus[i])[:1], num_gpus
            if not chosen:
                return False
        else:
            chosen, part = [], 0.0
        self.num_cpus -= num_cpus
        for i in chosen:
            self.gpus[i] -= part
        return True


def place_pools(need: ResourceParams, nodes: Sequence[Node]) -> dict[str, int]:
    """Return how many actors of each pool fit, by first fit, the largest first.

    One task, of the largest kind, must fit beside them.
    """
    free = [_Free(node.num_cpus, [1.0] * int(node.num_gpus)) for node in nodes]
    # On machines that are scarce for others, place last.
    free.sort(key=lambda machine: (len(machine.gpus), machine.num_cpus))
    pools = {"propagate": need.propagate, "detect": need.detect}
    order = sorted(pools, key=lambda name: (pools[name].num_gpus, pools[name].num_cpus))
    placed = dict.fromkeys(pools, 0)
    for name in reversed(order):
        pool = pools[name]
        for _ in range(pool.actors):
            placed[name] += any(machine.take(pool.num_cpus, pool.num_gpus) for machine in free)
    if not any(machine.take(task_num_cpus(need), 0) for machine in free):
        # A task takes the place of the smallest actor.
        placed[order[0]] = max(0, placed[order[0]] - 1)
    return placed


def task_num_cpus(need: ResourceParams) -> float:
    """Return the CPUs of the largest task; tasks run one after the other at least."""
    return max(need.inspect_num_cpus, need.write_num_cpus)
