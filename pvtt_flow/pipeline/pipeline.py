"""Pipeline on one screen: a chain of Ray Data calls over small Arrow rows.

    Source ─ inspect ─► shots ─ detect ─► prompts ─ propagate ─► masklets ─ judge ─► ─ write ─►
              1 : N              1 : 1               1 : 1                  1 : 1      1 : 1

Rows are `ShotRecord`s, and `ShotResult`s after `write`. They hold references and results; frames
are decoded where they are used.
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
# Enough blocks to fill the cores of a cluster, and few enough for the object store.
_MIN_BLOCKS, _MAX_BLOCK_ROWS = 1024, 64


def build(sources: Sequence[Source], config: RunConfig, lineage: Lineage) -> Rows:
    """Return the lazy rows of a run; iterating over them processes shots and yields results."""
    _set_context(config)
    need = config.resources
    # `from_arrow` would start a task for each table to learn its schema.
    rows: Rows = ray.data.from_blocks(list(_blocks(sources)))
    # 1 : N. Tasks, because nothing is resident; a whole video is decoded in each.
    rows = _tasks(rows, factory.inspect, config, num_cpus=need.inspect_num_cpus)
    # 1 : 1. Actors, because the detector stays loaded; batches, because it is faster on many
    # frames.
    rows = _actors(rows, factory.detect, config, need.detect, batch_size=need.detect.batch_size)
    # 1 : 1. Actors, because SAM 2 stays loaded; one shot a call, because shots differ in length;
    # many calls at once, because one scheduler tracks them together, and some to spare, so that
    # a waiting shot takes the slot of a finished one at once.
    calls = config.tracker.max_concurrent_shots + _SPARE_CALLS
    rows = _actors(rows, factory.propagate, config, need.propagate, calls=calls)
    # 1 : 1, twice. Ray fuses the two, so masks are not copied between them.
    rows = _tasks(rows, factory.judge, config, num_cpus=need.write_num_cpus)
    return _tasks(rows, factory.write, config, num_cpus=need.write_num_cpus, lineage=lineage)


class Operator:
    """Stage as a Ray Data operator on Arrow tables; yields a table for each row, as soon as it is
    done."""

    def __init__(self, make: StageFactory, config: RunConfig, **rest: object) -> None:
        self._stage = make(config, **rest)

    def __call__(self, table: Table) -> Iterator[Table]:
        """Run the stage on the rows of a batch."""
        for row in self._stage(from_table(ShotRecord, table)):
            yield to_table(type(row), [row])


def _blocks(sources: Sequence[Source]) -> Iterator[Table]:
    """Yield blocks of one video each, to run in parallel, or larger ones for many videos."""
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
        # Ray's type of a function does not allow for fn_kwargs.
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
    """Map batches in a pool of actors that run `calls` calls at once, each in its own thread."""
    with warnings.catch_warnings():
        # `max_restarts` and `max_task_retries` cannot be set in another way (Ray 2.60 to 2.63).
        warnings.simplefilter("ignore", RayDeprecationWarning)
        return rows.map_batches(
            Operator,
            fn_constructor_kwargs={"make": make, "config": config},
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
            # Machines come and go in a run of days, so an actor may always restart. A call whose
            # actor has died three times may be what kills it, so it stops the run.
            max_restarts=-1,
            max_task_retries=2,
        )


def _set_context(config: RunConfig) -> None:
    context = DataContext.get_current()
    context.execution_options.preserve_order = False
    # Otherwise rows are held back until they fill 128 MiB.
    context.target_max_block_size = 1
    context.execution_no_progress_timeout_s = config.run.no_progress_timeout_s
    # The command line shows progress in videos; Ray Data's messages go to its log file.
    context.enable_progress_bars = False
    for handler in logging.getLogger("ray.data").handlers:
        if handler.get_name() == "console":
            handler.setLevel(logging.ERROR)
