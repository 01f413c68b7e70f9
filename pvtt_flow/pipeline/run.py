"""Run: plan, check, process videos, and commit results as they arrive."""

import logging
import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Protocol

from pvtt_flow.config.schema import RunConfig
from pvtt_flow.dataset.dataset import Dataset
from pvtt_flow.dataset.ledger import empty_ledger
from pvtt_flow.dataset.maintenance.renew import renew
from pvtt_flow.dataset.maintenance.row_updates import mark_gone
from pvtt_flow.errors import PreflightError
from pvtt_flow.pipeline.committer import Committer, VideoWatcher
from pvtt_flow.pipeline.identity import with_ids
from pvtt_flow.pipeline.plan import Plan, make_plan
from pvtt_flow.pipeline.preflight import (
    check_class_filter,
    check_weights,
    demonstrator_warning,
    make_lineage,
    pin_weights,
)
from pvtt_flow.pipeline.summary import Summary
from pvtt_flow.pipeline.touched import find_touched
from pvtt_flow.stages.factory import use_input_credentials
from pvtt_flow.storage.sources import list_sources, redacted_input_uri
from pvtt_flow.types import Lineage
from pvtt_flow.video.worker.content_hash import hash_contents, with_content_hashes

_LOG = logging.getLogger("pvtt_flow")


class Watcher(VideoWatcher, Protocol):
    """Observer that shows the progress of a run."""

    def planned(self, plan: Plan) -> None:
        """Handle the finished plan."""
        ...

    def ended_early(self, summary: Summary) -> None:
        """Handle the end of a run that was stopped or broke off, after its last commit."""
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
        sources = with_content_hashes(sources, config.limits)
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
        touched=find_touched(sources, ledger, partial(hash_contents, limits=config.limits)),
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
    if plan.to_process or plan.newly_gone or plan.returned or plan.renewed:
        dataset.check_writable()
    if plan.to_process:
        check_class_filter(config)
        if warning := demonstrator_warning(config, plan.to_process):
            _LOG.warning("%s", warning)
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
        # A plan needs no Ray, whose import takes a second.
        from pvtt_flow.pipeline.process import process_videos

        committer = Committer(dataset, config.run, prepared.lineage, summary, watcher)
        try:
            process_videos(plan.to_process, config, prepared.lineage, committer)
        except PreflightError:
            raise  # Nothing has begun.
        except BaseException:
            watcher.ended_early(summary)
            raise
    return summary


def new_run_id() -> str:
    """Return a sortable, unique id: `20261121T140509Z-3fa9`."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"
