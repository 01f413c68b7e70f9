"""Run as a job of a Ray cluster: submit it, follow its log, return how it ended.

The config is sent as text in the job's environment. Paths in it are those of the cluster, and so
are credentials. The submission id is chosen before the job is submitted, so it cannot start twice.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_delay, wait_fixed

from pvtt_flow.config.loading import dump
from pvtt_flow.config.schema import RunConfig
from pvtt_flow.core.ids import digest
from pvtt_flow.errors import ClusterError, PreflightError

if TYPE_CHECKING:
    from ray.job_submission import JobSubmissionClient

_LOG = logging.getLogger("pvtt_flow")
CONFIG_VARIABLE = "PVTT_FLOW_CONFIG"
# Ray's dashboard waits half a minute for an agent before each such answer.
SUBMIT_TIMEOUT_S = 120.0
_SUBMIT_PAUSE_S = 3.0
# A head node that is restarted is back within minutes, or its jobs are lost.
UNREACHABLE_TIMEOUT_S = 300.0
# Each poll transfers the whole log, so a long job is polled less often.
_MIN_PAUSE_S, _MAX_PAUSE_S = 1.0, 15.0
_PAUSE_SHARE = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """Arguments of `ray.job_submission.JobSubmissionClient.submit_job`."""

    submission_id: str
    entrypoint: str
    runtime_env: dict[str, Any]


def make_submission(
    config: RunConfig, *, now: datetime, working_dir: str | None = None
) -> Submission:
    """Return the submission that runs this config; `working_dir` is a folder to upload for it."""
    text = dump(config)
    runtime_env: dict[str, Any] = {"env_vars": {CONFIG_VARIABLE: text}}
    if working_dir is not None:
        runtime_env["working_dir"] = working_dir
    return Submission(
        submission_id=f"pvtt-flow-{now.astimezone(UTC):%Y%m%dt%H%M%Sz}-{digest(text, 8)}",
        entrypoint=f'printf %s "${CONFIG_VARIABLE}" | pvtt-flow run /dev/stdin',
        runtime_env=runtime_env,
    )


def submit(address: str, submission: Submission) -> "JobSubmissionClient":
    """Submit to the dashboard at `address` and return the client.

    A young cluster answers before it can take jobs, so errors of the server are repeated for
    `SUBMIT_TIMEOUT_S`. Raises ClusterError if the dashboard cannot be reached or has no end of
    them, and PreflightError if it refuses the job.
    """
    from ray.exceptions import AuthenticationError

    tries = Retrying(
        retry=retry_if_exception(_is_of_server),
        wait=wait_fixed(_SUBMIT_PAUSE_S),
        stop=stop_after_delay(SUBMIT_TIMEOUT_S),
        before_sleep=_log_retry,
        reraise=True,
    )
    try:
        return tries(_submit_once, address, submission)
    except AuthenticationError:
        raise PreflightError(
            f"--address: {address} must get its token, got none or a wrong one; set "
            "RAY_AUTH_MODE=token and RAY_AUTH_TOKEN (or RAY_AUTH_TOKEN_PATH) to the cluster's"
        ) from None
    except OSError as error:
        raise ClusterError(
            f"--address: a Ray dashboard at {address} must answer, but {error}"
        ) from None
    except RuntimeError as error:
        if "status code 413" in str(error):
            raise PreflightError(
                "--working-dir: the folder must be small enough for the dashboard, which takes "
                "about 100 MB, got a larger one; name large files in its .gitignore, or put them "
                "into the image or a bucket"
            ) from None
        family = ClusterError if _is_of_server(error) else PreflightError
        raise family(
            f"--address: a Ray dashboard at {address} must take the job, but {error}"
        ) from None


def _submit_once(address: str, submission: Submission) -> "JobSubmissionClient":
    from ray.job_submission import JobSubmissionClient

    jobs = JobSubmissionClient(address)
    try:
        jobs.submit_job(
            entrypoint=submission.entrypoint,
            submission_id=submission.submission_id,
            runtime_env=submission.runtime_env,
        )
    except RuntimeError as error:
        # An earlier try whose answer was lost; ids are never used twice.
        if f"{submission.submission_id} already exists" not in str(error):
            raise
    return jobs


def _is_of_server(error: BaseException) -> bool:
    """Return whether the server has failed (5xx), which is the only sign in Ray's errors."""
    return isinstance(error, RuntimeError) and "status code 5" in str(error)


def _log_retry(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    _LOG.warning("the cluster cannot take the job yet; trying again (%s)", error)


class JobInfo(Protocol):
    """Job as `JobMonitor` reads it; `ray.job_submission.JobDetails` is one."""

    @property
    def status(self) -> str:
        """Status, such as "RUNNING"."""
        ...

    @property
    def message(self) -> str | None:
        """Reason of the status."""
        ...

    @property
    def driver_exit_code(self) -> int | None:
        """Exit code of the entrypoint; None if it has not ended by itself."""
        ...


class JobServer(Protocol):
    """Job server as `JobMonitor` calls it; `JobSubmissionClient` is one."""

    def get_job_info(self, job_id: str) -> JobInfo:
        """Return the status of the job."""
        ...

    def get_job_logs(self, job_id: str) -> str:
        """Return the whole log so far."""
        ...

    def stop_job(self, job_id: str) -> bool:
        """Ask the job to stop; return whether it was running."""
        ...


@dataclass(slots=True)
class JobMonitor:
    """Monitor that shows the log of a job until the job ends or cannot be reached."""

    jobs: JobServer
    submission_id: str
    show: Callable[[str], object]
    unreachable_timeout_s: float = UNREACHABLE_TIMEOUT_S
    _num_shown: int = field(default=0, init=False)

    def follow(self, *, stopping: bool = False) -> JobInfo:
        """Return how the job ended; `stopping` asks the job to stop first.

        Raises ClusterError if the job cannot be reached for `unreachable_timeout_s`.
        """
        started_s = answered_s = time.monotonic()
        while True:
            try:
                if stopping:
                    self.jobs.stop_job(self.submission_id)
                    stopping = False
                # In this order, so that the log of a finished job is complete.
                info = self.jobs.get_job_info(self.submission_id)
                log = self.jobs.get_job_logs(self.submission_id)
            except (OSError, RuntimeError) as error:
                self._check_unreachable(error, time.monotonic() - answered_s)
            else:
                answered_s = time.monotonic()
                self.show(log[self._num_shown :])
                self._num_shown = max(self._num_shown, len(log))
                if info.status in ("SUCCEEDED", "FAILED", "STOPPED"):
                    return info
            pause_s = (time.monotonic() - started_s) * _PAUSE_SHARE
            time.sleep(min(max(pause_s, _MIN_PAUSE_S), _MAX_PAUSE_S))

    def _check_unreachable(self, error: Exception, unreachable_s: float) -> None:
        if unreachable_s > self.unreachable_timeout_s:
            raise ClusterError(
                f"job {self.submission_id} has been unreachable for {unreachable_s:.0f} s and may "
                f"still be running; check it with `ray job status`, then submit again ({error})"
            ) from None
