"""Submit a run as a job of a Ray cluster, and follow its log."""

import sys
from datetime import UTC, datetime

from rich.console import Console

from pvtt_flow.cli.exit_codes import ExitCode
from pvtt_flow.cli.sigterm import sigterm_raises
from pvtt_flow.config.schema import RunConfig
from pvtt_flow.pipeline.job import JobInfo, JobMonitor, make_submission, submit


def submit_run(
    config: RunConfig, console: Console, *, address: str, working_dir: str | None
) -> int:
    """Return the exit code of the run, or ENDED_EARLY if the job was stopped or lost."""
    submission = make_submission(config, now=datetime.now(UTC), working_dir=working_dir)
    monitor = JobMonitor(submit(address, submission), submission.submission_id, _print)
    console.print(f"job: {submission.submission_id}", soft_wrap=True)
    with sigterm_raises(KeyboardInterrupt()):
        try:
            ended = monitor.follow()
        except KeyboardInterrupt:
            console.print("stopping the job; press Ctrl-C again to leave it running")
            ended = monitor.follow(stopping=True)
    # The message of a run that ended by itself repeats its log.
    reason = "" if ended.driver_exit_code is not None else f" ({ended.message})"
    console.print(f"job {submission.submission_id}: {ended.status}{reason}", soft_wrap=True)
    return code_of_job(ended)


def code_of_job(ended: JobInfo) -> int:
    """Return the exit code of a job's run, or ENDED_EARLY if it was stopped or its driver lost."""
    if ended.status == "SUCCEEDED":
        return ExitCode.DONE
    if ended.status == "STOPPED" or ended.driver_exit_code is None:
        return ExitCode.ENDED_EARLY
    # As shells have it: Python gives the negative number of the signal that ended a process.
    return ended.driver_exit_code if ended.driver_exit_code > 0 else 128 - ended.driver_exit_code


def _print(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
