"""Process videos on Ray, and leave out machines that turn out to be sick."""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager

from ray.data import Dataset as Rows

from pvtt_flow.config.schema import RunConfig
from pvtt_flow.dataset.arrow import from_table
from pvtt_flow.errors import ClusterError, PreflightError, StoreError
from pvtt_flow.pipeline import pipeline
from pvtt_flow.pipeline.batches import batches_with_timeout
from pvtt_flow.pipeline.call_journal import SickMachine
from pvtt_flow.pipeline.committer import Committer
from pvtt_flow.pipeline.gcs_watch import watch_gcs
from pvtt_flow.pipeline.preflight import check_resources, idle_cpus_warning, shrink_pools
from pvtt_flow.pipeline.ray_session import Cluster, connect_to_ray, translate_ray_errors
from pvtt_flow.pipeline.remote_journal import RemoteJournal
from pvtt_flow.pipeline.run_record import recorded
from pvtt_flow.stages.write import ShotResult
from pvtt_flow.types import Lineage, Source

_LOG = logging.getLogger("pvtt_flow")
# Interval at which the driver asks for sick machines, and whether Ray is still there.
_CHECK_INTERVAL_S = 2.0


def process_videos(
    sources: Sequence[Source], config: RunConfig, lineage: Lineage, committer: Committer
) -> None:
    """Process and commit the videos.

    If a machine turns out to be sick, the unfinished videos are processed again without it. Raises
    ClusterError if the rest of the cluster is too small, and PreflightError if the cluster is too
    small from the start.
    """
    started_s = time.perf_counter()
    left_out: dict[str, SickMachine] = {}
    unfinished = sources
    with ExitStack() as work:
        try:
            while unfinished:
                with connect_to_ray() as cluster:
                    fit = _fit(config, cluster, left_out)
                    if not left_out:
                        committer.dataset.ensure()
                        work.enter_context(_begun())
                        work.enter_context(recorded(config, committer.summary))
                    with translate_ray_errors(cluster, config.run.no_progress_timeout_s):
                        sick = _process_round(unfinished, fit, lineage, committer, left_out)
                    if not sick:
                        break
                    left_out |= {machine.machine.node_id: machine for machine in sick}
                    committer.forget_unfinished()
                    unfinished = [s for s in sources if s.video_id not in committer.done]
                    if unfinished:
                        # A new Ray on the only machine would be as sick.
                        _fit(config, cluster, left_out)
        finally:
            # Finished videos are kept if the run breaks off, too.
            committer.commit_all()
        committer.compact()
        committer.summary.wall_s = time.perf_counter() - started_s


@contextmanager
def _begun() -> Iterator[None]:
    """Raise StoreError for a PreflightError inside: work that has begun is not refused.

    A token may expire, or a dataset be removed, between two commits.
    """
    try:
        yield
    except PreflightError as error:
        raise StoreError(str(error)) from error


def _process_round(
    sources: Sequence[Source],
    config: RunConfig,
    lineage: Lineage,
    committer: Committer,
    left_out: dict[str, SickMachine],
) -> list[SickMachine]:
    """Process the videos until they are finished or machines turn out to be sick; return these."""
    gcs, journal = watch_gcs(), RemoteJournal()
    rows = pipeline.build(sources, config, lineage, journal, left_out=left_out)
    checked_s = time.monotonic()
    wait_s = min(config.run.commit_interval_s, _CHECK_INTERVAL_S)
    stream = batches_with_timeout(
        _shot_results(rows), wait_s, pipeline.cancel, can_end=gcs.is_reachable
    )
    with closing(stream) as batches:
        for shot_results in batches:
            for shot_result in shot_results:
                committer.add(shot_result)
            committer.commit_if_due()
            if time.monotonic() - checked_s > _CHECK_INTERVAL_S:
                checked_s = time.monotonic()
                # Without the service, the journal may be gone, and would never answer.
                if gcs.answers() and (sick := journal.sick_machines()):
                    return _leave_out(sick, committer)
    return _leave_out(journal.sick_machines() if gcs.answers() else [], committer)


def _leave_out(sick: list[SickMachine], committer: Committer) -> list[SickMachine]:
    for machine in sick:
        _LOG.error(
            "machine %s is left out from now on: %s", machine.machine.address, machine.reason
        )
        committer.forget_failures_on(machine.machine.node_id)
    return sick


def _fit(config: RunConfig, cluster: Cluster, left_out: dict[str, SickMachine]) -> RunConfig:
    """Return the config with pools for what is left of the cluster, if a machine is left out."""
    if not left_out:
        check_resources(config.resources, cluster.nodes)
        if warning := idle_cpus_warning(config.resources, cluster.nodes):
            _LOG.warning("%s", warning)
        return config
    healthy = [node for node in cluster.nodes if node.node_id not in left_out]
    try:
        resources = shrink_pools(config.resources, healthy)
    except PreflightError as error:
        reasons = "; ".join(
            f"machine {machine.machine.address}: {machine.reason}" for machine in left_out.values()
        )
        raise ClusterError(
            f"the machines of the cluster must work, but {reasons}. What is left is too small for "
            f"the run; replace or repair the machine. No video is blamed, and committed results "
            f"are kept; the next run processes the rest."
        ) from error
    return config.model_copy(update={"resources": resources})


def _shot_results(rows: Rows) -> Iterator[list[ShotResult]]:
    for table in rows.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
        yield from_table(ShotResult, table)
