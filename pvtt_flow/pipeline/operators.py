"""Stages as Ray Data operators on Arrow tables, which survive what their processes die of."""

import os
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NoReturn

import ray
from ray.util import get_node_ip_address

from pvtt_flow.config.schema import RunConfig
from pvtt_flow.dataset.arrow import Table, from_table, to_table
from pvtt_flow.errors import DataError
from pvtt_flow.pipeline.call_journal import Decision, Journal, Machine, Process
from pvtt_flow.pipeline.turns import Turns
from pvtt_flow.stages._failures import is_machine_error, with_failure
from pvtt_flow.stages.factory import StageFactory
from pvtt_flow.types import ShotRecord, Stage

# Failures that a machine with bad memory may cause.
UNEXPECTED = ("internal", "decoder_crash")


class Operator:
    """Runs a stage on the rows of a table; yields a table for each row that they become."""

    def __init__(self, make: StageFactory, config: RunConfig, **rest: object) -> None:
        self._stage = make(config, **rest)

    def __call__(self, table: Table) -> Iterator[Table]:
        """Run the stage on the rows of a batch."""
        for row in self._stage(from_table(ShotRecord, table)):
            yield to_table(type(row), [row])


class JournaledOperator:
    """`Operator` for models and decoders: it records its rows in the journal of the run.

    A row whose process died runs alone. So does one that failed unexpectedly beside others, since
    it may have failed because of them. If the device or the process is broken, the process ends,
    and Ray starts another one for its rows.
    """

    def __init__(
        self, make: StageFactory, config: RunConfig, journal: Journal, *, name: Stage, shared: bool
    ) -> None:
        """Make the stage. `shared` is true if rows of several calls or batches run at once."""
        self._name: Stage = name
        self._shared = shared
        self._journal = journal
        self._process = _this_process()
        self._turns = Turns()
        try:
            self._stage = make(config)
        except Exception as error:
            if is_machine_error(error):
                self._end_process(str(error))
            raise

    def __call__(self, table: Table) -> Iterator[Table]:
        """Run the stage on the rows of a batch."""
        for row in self._run(from_table(ShotRecord, table)):
            yield to_table(type(row), [row])

    def _run(self, records: Sequence[ShotRecord]) -> Iterator[ShotRecord]:
        healthy = [record for record in records if record.failure is None]
        yield from (record for record in records if record.failure is not None)
        keys = [self._key(record) for record in healthy]
        decisions = self._journal.begin(self._process, keys, alone=not self._shared)
        suspects: list[tuple[Decision, ShotRecord]] = []
        together: list[ShotRecord] = []
        for decision, record in zip(decisions, healthy, strict=True):
            if decision.refusal is not None:
                yield with_failure(record, self._name, DataError("worker_crash", decision.refusal))
            elif decision.is_suspect and self._shared:
                suspects.append((decision, record))
            else:
                together.append(record)
        rows: Sequence[ShotRecord] = ()
        if together:
            with self._turns.together():
                rows = self._process_rows(together)
        if self._shared:
            failed = [row.failure is not None and row.failure.kind == "internal" for row in rows]
            suspects += [(Decision(), r) for r, f in zip(together, failed, strict=True) if f]
            rows = [row for row, has_failed in zip(rows, failed, strict=True) if not has_failed]
        yield from self._finished(rows)
        for decision, record in sorted(suspects, key=lambda suspect: suspect[0].num_deaths):
            with self._turns.alone(decision.num_deaths):
                self._journal.begin_alone(self._key(record))
                rows = self._process_rows([record])
            yield from self._finished(rows)

    def _process_rows(self, records: Sequence[ShotRecord]) -> Sequence[ShotRecord]:
        rows: Sequence[ShotRecord] = self._stage(records)
        for row in rows:
            if row.failure is not None and row.failure.kind == "machine":
                self._end_process(row.failure.message)
        return rows

    def _finished(self, rows: Sequence[ShotRecord]) -> Sequence[ShotRecord]:
        """Record finished rows; return them, unexpected failures with the name of the machine."""
        if not rows:
            return rows
        rows = [self._with_machine(row) for row in rows]
        num_unexpected = sum(row.failure is not None and bool(row.failure.node_id) for row in rows)
        keys = sorted({self._key(row) for row in rows})
        self._journal.end(self._process, self._name, keys, num_unexpected)
        return rows

    def _with_machine(self, row: ShotRecord) -> ShotRecord:
        if row.failure is None or row.failure.kind not in UNEXPECTED:
            return row
        node_id = self._process.machine.node_id
        return replace(row, failure=replace(row.failure, node_id=node_id))

    def _key(self, record: ShotRecord) -> str:
        shot = None if self._name == "inspect" else record.shot
        return f"{self._name} {record.source.video_id} {'' if shot is None else shot.index}"

    def _end_process(self, message: str) -> NoReturn:
        self._journal.device_failed(self._process, message)
        os._exit(1)


def _this_process() -> Process:
    context = ray.get_runtime_context()
    return Process(uuid.uuid4().hex, Machine(context.get_node_id(), get_node_ip_address()))
