"""Pipeline on one screen: a chain of Ray Data calls over small Arrow rows.

    Source ─ inspect ─► shots ─ detect ─► prompts ─ propagate ─► masklets ─ judge ─► ─ write ─►
              1 : N              1 : 1               1 : 1                  1 : 1      1 : 1

Rows are `ShotRecord`s, and `ShotResult`s after `write`. They hold references and results; frames
are decoded where they are used.
"""

import logging
import threading
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import ray.data
from ray.data import ActorPoolStrategy, DataContext
from ray.data import Dataset as Rows
from ray.data._internal.execution.execution_callback import ExecutionCallback
from ray.data.exceptions import ExecutionTimeoutError
from ray.util.annotations import RayDeprecationWarning

from pvtt_flow.config.schema import PoolParams, RunConfig
from pvtt_flow.dataset.arrow import Table, to_table
from pvtt_flow.pipeline.call_journal import Journal
from pvtt_flow.pipeline.operators import JournaledOperator, Operator
from pvtt_flow.stages import factory
from pvtt_flow.types import Lineage, ShotRecord, Source

# Shots that an actor queues while `tracker.max_concurrent_shots` are being tracked.
_SPARE_CALLS = 2
# Enough blocks to fill the cores of a cluster, and few enough for the object store.
_MIN_BLOCKS, _MAX_BLOCK_ROWS = 1024, 64


class CancelledError(ExecutionTimeoutError):
    """End of an execution on request.

    A kind of timeout, since Ray Data prints a traceback for all errors but these and a user's.
    """


class Cancellation(ExecutionCallback):
    """Callback of Ray Data that ends the execution in this process.

    Else the execution would go on in its thread after the end of the run.
    """

    requested: ClassVar[threading.Event] = threading.Event()
    """Ray pickles the class with its context, by name; so the request is the process's."""

    def on_execution_step(self, executor: object) -> None:  # noqa: ARG002 (Ray's signature)
        """Raise CancelledError if it was requested."""
        if self.requested.is_set():
            raise CancelledError


def cancel() -> None:
    """End the execution of the run in this process, and no later one of Ray Data."""
    Cancellation.requested.set()
    # The execution of the run has made its callback already.
    DataContext.get_current().custom_execution_callback_classes = []


def build(
    sources: Sequence[Source],
    config: RunConfig,
    lineage: Lineage,
    journal: Journal,
    *,
    left_out: Collection[str] = (),
) -> Rows:
    """Return the lazy rows of a run; iterating over them processes shots and yields results.

    Iteration raises CancelledError soon after `cancel` is called. `left_out` has the
    ids of nodes that get no work.
    """
    _set_context(config)
    need = config.resources
    common = _Common(config, _label_selector(left_out))
    # `from_arrow` would start a task for each table to learn its schema.
    rows: Rows = ray.data.from_blocks(list(_blocks(sources)))
    # 1 : N. Tasks, because nothing is resident; a whole video is decoded in each.
    inspect = {"make": factory.inspect, "journal": journal, "name": "inspect", "shared": False}
    rows = _tasks(rows, common, need.inspect_num_cpus, JournaledOperator, **inspect)
    # 1 : 1. Actors, because the detector stays loaded; batches, because it is faster on many
    # frames.
    detect = {"make": factory.detect, "journal": journal, "name": "detect", "shared": True}
    rows = _actors(rows, common, need.detect, detect, batch_size=need.detect.batch_size)
    # 1 : 1. Actors, because SAM 2 stays loaded; one shot a call, because shots differ in length;
    # many calls at once, because one scheduler tracks them together, and some to spare, so that
    # a waiting shot takes the slot of a finished one at once.
    track = partial(factory.propagate, tracker_hash=lineage.tracker_hash)
    propagate = {"make": track, "journal": journal, "name": "propagate", "shared": True}
    calls = config.tracker.max_concurrent_shots + _SPARE_CALLS
    rows = _actors(rows, common, need.propagate, propagate, calls=calls)
    # 1 : 1, twice. Ray fuses the two, so masks are not copied between them.
    judge = {"make": factory.judge, "tracker_hash": lineage.tracker_hash}
    rows = _tasks(rows, common, need.write_num_cpus, Operator, **judge)
    write = {"make": factory.write, "lineage": lineage}
    return _tasks(rows, common, need.write_num_cpus, Operator, **write)


@dataclass(frozen=True, slots=True)
class _Common:
    """Arguments of all stages."""

    config: RunConfig
    label_selector: dict[str, str] | None
    """Selects the nodes of the cluster that get work."""


def _label_selector(left_out: Collection[str]) -> dict[str, str] | None:
    return {"ray.io/node-id": f"!in({','.join(sorted(left_out))})"} if left_out else None


def _blocks(sources: Sequence[Source]) -> Iterator[Table]:
    """Yield blocks of one video each, to run in parallel, or larger ones for many videos."""
    size = min(max(len(sources) // _MIN_BLOCKS, 1), _MAX_BLOCK_ROWS)
    for start in range(0, len(sources), size):
        yield to_table(ShotRecord, [ShotRecord(source=s) for s in sources[start : start + size]])


def _run_task(
    table: Table, operator: type[Operator | JournaledOperator], **arguments: Any
) -> Iterator[Table]:
    run = operator(**arguments)
    for start in range(table.num_rows):
        yield from run(table.slice(start, 1))


def _tasks(
    rows: Rows,
    common: _Common,
    num_cpus: float,
    operator: type[Operator | JournaledOperator],
    **arguments: object,
) -> Rows:
    return rows.map_batches(
        # Ray's type of a function does not allow for fn_kwargs.
        _run_task,  # type: ignore[arg-type]
        fn_kwargs={"operator": operator, "config": common.config, **arguments},
        batch_format="pyarrow",
        batch_size=None,
        num_cpus=num_cpus,
        label_selector=common.label_selector,
    )


def _actors(
    rows: Rows,
    common: _Common,
    pool: PoolParams,
    arguments: Mapping[str, object],
    *,
    batch_size: int = 1,
    calls: int = 1,
) -> Rows:
    """Map batches in a pool of actors that run `calls` calls at once, each in its own thread."""
    with warnings.catch_warnings():
        # `max_restarts` and `max_task_retries` cannot be set in another way (Ray 2.60 to 2.63).
        warnings.simplefilter("ignore", RayDeprecationWarning)
        return rows.map_batches(
            JournaledOperator,
            fn_constructor_kwargs={"config": common.config, **arguments},
            compute=ActorPoolStrategy(
                size=pool.actors,
                max_concurrent_calls_per_actor=calls,
                enable_true_multi_threading=True,
                # One call waits. Ray would queue as many as are running, while another actor may be
                # idle.
                max_tasks_in_flight_per_actor=calls + 1,
            ),
            batch_format="pyarrow",
            batch_size=batch_size,
            num_cpus=pool.num_cpus,
            num_gpus=pool.num_gpus,
            label_selector=common.label_selector,
            # Machines come and go in a run of days, so an actor may always restart, and a call may
            # always be repeated: the journal refuses the rows that kill actors.
            max_restarts=-1,
            max_task_retries=-1,
        )


def _set_context(config: RunConfig) -> None:
    context = DataContext.get_current()
    Cancellation.requested.clear()
    context.custom_execution_callback_classes = [Cancellation]
    context.execution_options.preserve_order = False
    # Otherwise rows are held back until they fill 128 MiB.
    context.target_max_block_size = 1
    context.execution_no_progress_timeout_s = config.run.no_progress_timeout_s
    # The command line shows progress in videos; Ray Data's messages go to its log file.
    context.enable_progress_bars = False
    for handler in logging.getLogger("ray.data").handlers:
        if handler.get_name() == "console":
            handler.setLevel(logging.ERROR)
