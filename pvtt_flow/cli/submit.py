"""Submit a run as a job of a Ray cluster, and follow its log."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from rich.console import Console

from pvtt_flow.config.schema import RunConfig
from pvtt_flow.pipeline.job import JobMonitor, make_submission, submit


def submit_run(
    config: RunConfig, console: Console, *, address: str, working_dir: str | None
) -> str:
    """Return the status that the job ends with: SUCCEEDED, FAILED or STOPPED."""
    submission = make_submission(config, now=datetime.now(UTC), working_dir=working_dir)
    monitor = JobMonitor(submit(address, submission), submission.submission_id, _print)
    console.print(f"job: {submission.submission_id}", soft_wrap=True)
    with _sigterm_as_sigint():
        try:
            status = monitor.follow()
        except KeyboardInterrupt:
            console.print("stopping the job; press Ctrl-C again to leave it running")
            status = monitor.follow(stopping=True)
    console.print(f"job {submission.submission_id}: {status}", soft_wrap=True)
    return status


def _print(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


@contextmanager
def _sigterm_as_sigint() -> Iterator[None]:
    """Handle SIGTERM, which stops pods and services, as Ctrl-C, which stops the job."""
    previous = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
