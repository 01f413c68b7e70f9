"""Journal of a run as a Ray actor, which every process of the run asks."""

from collections.abc import Sequence
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from pvtt_flow.pipeline.call_journal import CallJournal, Decision, Process, SickMachine


class RemoteJournal:
    """`CallJournal` in an actor on the driver's machine."""

    def __init__(self) -> None:
        """Start the actor."""
        here = ray.get_runtime_context().get_node_id()
        self._actor: Any = (
            ray.remote(CallJournal)
            .options(
                num_cpus=0,
                # If it dies, what it knew is lost, and the run goes on.
                max_restarts=-1,
                max_task_retries=-1,
                scheduling_strategy=NodeAffinitySchedulingStrategy(here, soft=False),
            )
            .remote(_alive_node_ids)
        )

    def begin(self, process: Process, rows: Sequence[str], *, alone: bool) -> list[Decision]:
        """See `CallJournal`."""
        return list(ray.get(self._actor.begin.remote(process, rows, alone=alone)))

    def begin_alone(self, row: str) -> None:
        """See `CallJournal`."""
        ray.get(self._actor.begin_alone.remote(row))

    def end(self, process: Process, stage: str, rows: Sequence[str], num_failures: int) -> None:
        """See `CallJournal`."""
        ray.get(self._actor.end.remote(process, stage, rows, num_failures))

    def device_failed(self, process: Process, message: str) -> None:
        """See `CallJournal`."""
        ray.get(self._actor.device_failed.remote(process, message))

    def sick_machines(self) -> list[SickMachine]:
        """See `CallJournal`."""
        return list(ray.get(self._actor.sick_machines.remote()))


def _alive_node_ids() -> set[str]:
    return {node["NodeID"] for node in ray.nodes() if node["Alive"]}
