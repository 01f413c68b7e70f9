"""Run: plan, check, process videos, and commit results as they arrive."""

import logging
import secrets
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from pvtt_flow.config.schema import RunConfig
from pvtt_flow.dataset.dataset import Dataset
from pvtt_flow.dataset.ledger import empty_ledger
from pvtt_flow.dataset.maintenance.compact import INCREMENTAL, compact
from pvtt_flow.dataset.maintenance.renew import renew
from pvtt_flow.dataset.maintenance.row_updates import mark_gone
from pvtt_flow.dataset.tables import MaskletFile
from pvtt_flow.errors import StoreError
from pvtt_flow.pipeline.assemble import VideoAssembler
from pvtt_flow.pipeline.batches import batches_with_timeout
from pvtt_flow.pipeline.identity import with_ids
from pvtt_flow.pipeline.plan import Plan, make_plan
from pvtt_flow.pipeline.preflight import (
    check_class_filter,
    check_resources,
    check_weights,
    make_lineage,
    pin_weights,
)
from pvtt_flow.pipeline.ray_session import connect_to_ray, translate_ray_errors
from pvtt_flow.pipeline.run_record import recorded
from pvtt_flow.pipeline.summary import Summary
from pvtt_flow.pipeline.touched import find_touched
from pvtt_flow.stages.factory import use_input_credentials
from pvtt_flow.stages.write import ShotResult
from pvtt_flow.storage.sources import list_sources, redacted_input_uri
from pvtt_flow.types import Lineage, VideoRecord
from pvtt_flow.video.worker.content_hash import hash_contents, with_content_hashes

_LOG = logging.getLogger("pvtt_flow")


class Watcher(Protocol):
    """Observer that shows the progress of a run."""

    def planned(self, plan: Plan) -> None:
        """Handle the finished plan."""
        ...

    def finished(self, record: VideoRecord, summary: Summary) -> None:
        """Handle a finished video."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """Run that has passed the checks that need no cluster."""

    config: RunConfig
    lineage: Lineage
    plan: Plan


def prepare(config: RunConfig, *, limit: int | None = None) -> Prepared:
    """Find the weights, list the input, read the ledger and make the plan. Writes nothing."""
    use_input_credentials(config)
    config = pin_weights(config)
    lineage = make_lineage(config, new_run_id())
    check_weights(config)
    sources = list_sources(config.input)
    if config.input.identity == "content":
        sources = with_content_hashes(sources)
    dataset = Dataset(config.output.uri)
    ledger = dataset.ledger() if dataset.exists() else empty_ledger()
    sources = with_ids(sources, ledger)
    plan = make_plan(
        sources,
        ledger,
        lineage,
        input_uri=redacted_input_uri(config.input),
        params=config.run,
        limit=limit,
        touched=find_touched(sources, ledger, hash_contents),
    )
    if plan.warning:
        _LOG.warning("%s", plan.warning)
    return Prepared(config=config, lineage=lineage, plan=plan)


def execute(prepared: Prepared, watcher: Watcher) -> Summary:
    """Process the videos of the plan; returns when all of them are committed."""
    config, plan = prepared.config, prepared.plan
    summary = Summary(
        run_id=prepared.lineage.run_id,
        num_planned=len(plan.to_process),
        plan={str(reason): n for reason, n in plan.counts.items()},
        max_concurrent_shots=config.tracker.max_concurrent_shots,
    )
    watcher.planned(plan)
    dataset = Dataset(config.output.uri)
    if plan.newly_gone or plan.returned:
        dataset.ensure()
        summary.version = mark_gone(
            dataset.uri,
            gone=plan.newly_gone,
            returned=plan.returned,
            at_ns=time.time_ns(),
            run_id=summary.run_id,
        )
    if plan.renewed:
        dataset.ensure()
        summary.version = renew(dataset.uri, plan.renewed, summary.run_id)
    if plan.to_process:
        dataset.check_writable()
        check_class_filter(config)
        with connect_to_ray() as capacity:
            need = config.resources
            check_resources(need, num_cpus=capacity.num_cpus, num_gpus=capacity.num_gpus)
            dataset.ensure()
            with (
                recorded(config, summary),
                translate_ray_errors(capacity, config.run.no_progress_timeout_s),
            ):
                _process(prepared, _Committer(dataset, prepared, summary, watcher))
    return summary


def new_run_id() -> str:
    """Return a sortable, unique id: `20261121T140509Z-3fa9`."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"


def _process(prepared: Prepared, committer: "_Committer") -> None:
    started_s = time.perf_counter()
    interval_s = prepared.config.run.commit_interval_s
    try:
        for shot_results in batches_with_timeout(_shot_results(prepared), interval_s):
            for shot_result in shot_results:
                committer.add(shot_result)
            committer.commit_if_due()
    finally:
        # Finished videos are kept if the run breaks off, too.
        committer.commit()
    committer.compact()
    committer.summary.wall_s = time.perf_counter() - started_s


def _shot_results(prepared: Prepared) -> Iterator[list[ShotResult]]:
    from pvtt_flow.dataset.arrow import from_table
    from pvtt_flow.pipeline import pipeline

    rows = pipeline.build(prepared.plan.to_process, prepared.config, prepared.lineage)
    for table in rows.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
        yield from_table(ShotResult, table)


@dataclass(slots=True)
class _Committer:
    """Collector of finished videos, which commits them every few seconds."""

    dataset: Dataset
    prepared: Prepared
    summary: Summary
    watcher: Watcher
    assembler: VideoAssembler = field(init=False)
    expected_run_ids: dict[str, str | None] = field(default_factory=dict)
    records: list[VideoRecord] = field(default_factory=list)
    files: list[MaskletFile] = field(default_factory=list)
    num_commits: int = 0
    committed_at_s: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.assembler = VideoAssembler(
            self.prepared.lineage, self.prepared.config.run.max_attempts
        )

    def add(self, shot_result: ShotResult) -> None:
        if shot_result.failure is not None and shot_result.failure.kind == "store":
            raise StoreError(shot_result.failure.message)
        self.summary.add_shot(shot_result)
        assembled = self.assembler.add(shot_result, finished_at_ns=time.time_ns())
        if assembled is not None:
            record, files = assembled
            self.records.append(record)
            self.files.extend(files)
            self.expected_run_ids[record.video_id] = shot_result.source.expected_run_id
            self.summary.add_video(record)
            self.watcher.finished(record, self.summary)

    def commit_if_due(self) -> None:
        if time.monotonic() - self.committed_at_s >= self.prepared.config.run.commit_interval_s:
            self.commit()

    def commit(self) -> None:
        if self.records:
            run_id = self.prepared.lineage.run_id
            result = self.dataset.commit(
                self.files, self.records, run_id=run_id, expected_run_ids=self.expected_run_ids
            )
            self.summary.version = result.version
            self._warn_superseded(result.superseded)
            self.num_commits += 1
            if self.num_commits % INCREMENTAL.fanout == 0:
                self.compact()
        self.records, self.files, self.expected_run_ids = [], [], {}
        self.committed_at_s = time.monotonic()

    def compact(self) -> None:
        """Merge small files, so that their number does not grow with the number of commits."""
        run_id = self.prepared.lineage.run_id
        self.summary.version = compact(self.dataset.uri, INCREMENTAL, {"run_id": run_id})

    def _warn_superseded(self, superseded: Collection[str]) -> None:
        if superseded:
            self.summary.num_superseded += len(superseded)
            _LOG.warning(
                "another run writes to %s: it finished %d of these videos first, and its results "
                "stay (%s)",
                self.dataset.uri,
                len(superseded),
                ", ".join(sorted(superseded)[:3]),
            )
