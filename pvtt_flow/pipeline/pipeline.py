"""The whole flow on one screen: a plain chain of Ray Data calls over small Arrow rows.

    Work ─ inspect ─► Work* ─ detect ─► Work ─ propagate ─► Work ─ judge ─► Work ─ write ─► Receipt
            1 : N             1 : 1              1 : 1             1 : 1            1 : 1

Only references and results cross these arrows; frames are decoded where they are used.
"""

import logging
import warnings
from collections.abc import Iterator, Sequence

import ray.data
from ray.data import ActorPoolStrategy, DataContext
from ray.data import Dataset as Rows
from ray.util.annotations import RayDeprecationWarning

from pvtt_flow.config.schema import PoolParams, RunConfig
from pvtt_flow.dataset.arrow import Table, from_table, to_table
from pvtt_flow.stages import factory
from pvtt_flow.stages.factory import StageFactory
from pvtt_flow.types import Lineage, ShotRecord, Source

# Shots that an actor queues while `tracker.max_concurrent_shots` are being tracked.
_SPARE_CALLS = 2
# Enough to fill a cluster's cores, and few enough for the object store to hold at once.
_MIN_BLOCKS, _MAX_BLOCK_ROWS = 1024, 64


def build(sources: Sequence[Source], config: RunConfig, lineage: Lineage) -> Rows:
    """The lazy rows of one run; iterating over them runs it and gives receipts as they come."""
    _set_context(config)
    need = config.resources
    # `from_arrow` would start a task for each table to learn its schema.
    rows: Rows = ray.data.from_blocks(list(_blocks(sources)))
    # 1 : N. Tasks, because nothing is resident; a whole video is decoded in each.
    rows = _tasks(rows, factory.inspect, config, num_cpus=need.inspect_num_cpus)
    # 1 : 1. Actors, because the detector stays loaded; batches, because it likes many pictures.
    rows = _actors(rows, factory.detect, config, need.detect, batch_size=need.detect.batch_size)
    # 1 : 1. Actors, because SAM 2 stays loaded; one shot a call, because shots differ in length;
    # many calls at once, because one scheduler tracks them together, and some to spare, so that
    # a waiting shot takes the slot of a finished one at once.
    calls = config.tracker.max_concurrent_shots + _SPARE_CALLS
    rows = _actors(rows, factory.propagate, config, need.propagate, calls=calls)
    # 1 : 1, twice; Ray fuses the two, so masks are not copied once more.
    rows = _tasks(rows, factory.judge, config, num_cpus=need.write_num_cpus)
    return _tasks(rows, factory.write, config, num_cpus=need.write_num_cpus, lineage=lineage)


class Operator:
    """A stage between Arrow tables, for Ray; one table out for each row, so that it flows on."""

    def __init__(self, make: StageFactory, config: RunConfig, **rest: object) -> None:
        self._step = make(config, **rest)

    def __call__(self, table: Table) -> Iterator[Table]:
        """The rows of one batch, through the stage."""
        for row in self._step(from_table(ShotRecord, table)):
            yield to_table(type(row), [row])


def _blocks(sources: Sequence[Source]) -> Iterator[Table]:
    """A block for each of a few videos, which then run in parallel; larger ones for millions."""
    size = min(max(len(sources) // _MIN_BLOCKS, 1), _MAX_BLOCK_ROWS)
    for start in range(0, len(sources), size):
        yield to_table(ShotRecord, [ShotRecord(source=s) for s in sources[start : start + size]])


def _run_task(
    table: Table, make: StageFactory, config: RunConfig, **rest: object
) -> Iterator[Table]:
    operator = Operator(make, config, **rest)
    for start in range(table.num_rows):
        yield from operator(table.slice(start, 1))


def _tasks(
    rows: Rows, make: StageFactory, config: RunConfig, *, num_cpus: float, **rest: object
) -> Rows:
    return rows.map_batches(
        # Ray's type of a function leaves no room for fn_kwargs.
        _run_task,  # type: ignore[arg-type]
        fn_kwargs={"make": make, "config": config, **rest},
        batch_format="pyarrow",
        batch_size=None,
        num_cpus=num_cpus,
    )


def _actors(
    rows: Rows,
    make: StageFactory,
    config: RunConfig,
    pool: PoolParams,
    *,
    batch_size: int = 1,
    calls: int = 1,
) -> Rows:
    """`calls` is how many an actor has at once, each in a thread of its own."""
    with warnings.catch_warnings():
        # `max_restarts` and `max_task_retries` have no other way in (Ray 2.60, until 2.64).
        warnings.simplefilter("ignore", RayDeprecationWarning)
        return rows.map_batches(
            Operator,
            fn_constructor_kwargs={"make": make, "config": config},
            compute=ActorPoolStrategy(
                size=pool.actors,
                max_concurrent_calls_per_actor=calls,
                enable_true_multi_threading=True,
                # One waits. Ray would let as many wait as run, while another actor may be idle.
                max_tasks_in_flight_per_actor=calls + 1,
            ),
            batch_format="pyarrow",
            batch_size=batch_size,
            num_cpus=pool.num_cpus,
            num_gpus=pool.num_gpus,
            # Machines come and go in a run of days, so an actor may always start again; a call that
            # has died with its actor three times may well be what kills it, and stops the run.
            max_restarts=-1,
            max_task_retries=2,
        )


def _set_context(config: RunConfig) -> None:
    context = DataContext.get_current()
    context.execution_options.preserve_order = False
    # Small rows are otherwise held back until they fill 128 MiB.
    context.target_max_block_size = 1
    context.execution_no_progress_timeout_s = config.run.no_progress_timeout_s
    # The flow has its own progress, in videos; Ray Data's words go to its log file.
    context.enable_progress_bars = False
    for handler in logging.getLogger("ray.data").handlers:
        if handler.get_name() == "console":
            handler.setLevel(logging.ERROR)
