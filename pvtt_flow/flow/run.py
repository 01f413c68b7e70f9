"""One run: plan, check, process, commit as results come, report."""

import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from pvtt_flow.config import RunConfig
from pvtt_flow.data import Lineage, Seal
from pvtt_flow.flow.arrivals import arrivals
from pvtt_flow.flow.cluster import connected
from pvtt_flow.flow.plan import Plan, make_plan
from pvtt_flow.flow.preflight import check_class_filter, check_resources, make_lineage
from pvtt_flow.flow.sealing import Sealer
from pvtt_flow.flow.summary import Summary
from pvtt_flow.stages.write import Receipt
from pvtt_flow.storage.commits import Dataset
from pvtt_flow.storage.sources import list_sources
from pvtt_flow.storage.tables import MaskletFile


class Watcher(Protocol):
    """Whoever shows people how far a run is."""

    def planned(self, plan: Plan) -> None:
        """The plan is made."""
        ...

    def finished(self, seal: Seal, summary: Summary) -> None:
        """One more video is finished."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A run that has passed every check that needs no cluster."""

    config: RunConfig
    lineage: Lineage
    plan: Plan


def prepare(config: RunConfig, *, limit: int | None = None) -> Prepared:
    """Find the weights, list the input, read the ledger. Writes nothing."""
    lineage = make_lineage(config, new_run_id())
    sources = list_sources(config.input)
    dataset = Dataset(config.output.uri)
    ledger = dataset.ledger() if dataset.exists() else {}
    plan = make_plan(sources, ledger, lineage, max_attempts=config.run.max_attempts, limit=limit)
    return Prepared(config=config, lineage=lineage, plan=plan)


def execute(prepared: Prepared, watcher: Watcher) -> Summary:
    """Process what the plan asks for; returns when all of it is committed."""
    config, plan = prepared.config, prepared.plan
    summary = Summary(
        run_id=prepared.lineage.run_id,
        num_planned=len(plan.todo),
        plan={str(reason): n for reason, n in plan.counts.items()},
        num_lanes=config.tracker.lanes,
    )
    watcher.planned(plan)
    if not plan.todo:
        return summary
    check_class_filter(config)
    dataset = Dataset(config.output.uri)
    with connected() as capacity:
        check_resources(config.resources, num_cpus=capacity.num_cpus, num_gpus=capacity.num_gpus)
        dataset.ensure()
        dataset.sweep()
        _process(prepared, _Ledger(dataset, prepared, summary, watcher))
    return summary


def new_run_id() -> str:
    """Sortable and unique: `20261121T140509Z-3fa9`."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"


def _process(prepared: Prepared, ledger: "_Ledger") -> None:
    started = time.perf_counter()
    try:
        for receipts in arrivals(_receipts(prepared), prepared.config.run.commit_interval_s):
            for receipt in receipts:
                ledger.add(receipt)
            ledger.commit_if_due()
    finally:
        # Also when the run breaks off: what is finished is kept.
        ledger.commit()
        ledger.summary.wall_s = time.perf_counter() - started


def _receipts(prepared: Prepared) -> Iterator[list[Receipt]]:
    from pvtt_flow.flow import pipeline
    from pvtt_flow.storage.arrow import from_table

    rows = pipeline.build(prepared.plan.todo, prepared.config, prepared.lineage)
    for table in rows.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
        yield from_table(Receipt, table)


@dataclass(slots=True)
class _Ledger:
    """Gathers finished videos and commits them, a few seconds' worth at a time."""

    dataset: Dataset
    prepared: Prepared
    summary: Summary
    watcher: Watcher
    sealer: Sealer = field(init=False)
    seals: list[Seal] = field(default_factory=list)
    files: list[MaskletFile] = field(default_factory=list)
    committed_at_s: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.sealer = Sealer(self.prepared.lineage, self.prepared.config.run.max_attempts)

    def add(self, receipt: Receipt) -> None:
        self.summary.add_shot(receipt)
        done = self.sealer.add(receipt, finished_at_ns=time.time_ns())
        if done is not None:
            seal, files = done
            self.seals.append(seal)
            self.files.extend(files)
            self.summary.add_video(seal)
            self.watcher.finished(seal, self.summary)

    def commit_if_due(self) -> None:
        if time.monotonic() - self.committed_at_s >= self.prepared.config.run.commit_interval_s:
            self.commit()

    def commit(self) -> None:
        if self.seals:
            self.summary.version = self.dataset.commit(
                self.files, self.seals, run_id=self.prepared.lineage.run_id
            )
        self.seals, self.files = [], []
        self.committed_at_s = time.monotonic()
