"""The same run as a job of a Ray cluster: hand it over, follow its log, see how it ends.

The config travels as text in the job's environment; paths in it, and credentials, are the
cluster's. A job has one id from before it is handed over, so it cannot start twice.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pvtt_flow.config.loading import dump
from pvtt_flow.config.schema import RunConfig
from pvtt_flow.core.ids import digest
from pvtt_flow.errors import PreflightError

if TYPE_CHECKING:
    from ray.job_submission import JobSubmissionClient

CONFIG_VARIABLE = "PVTT_FLOW_CONFIG"
# A head that is restarted by its operator is back within minutes, or its jobs are gone with it.
PATIENCE_S = 300.0
# Each look brings the whole log, so the longer a job runs the less often it is looked at.
_MIN_PAUSE_S, _MAX_PAUSE_S = 1.0, 15.0
_PAUSE_SHARE = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A run as a job server takes it."""

    submission_id: str
    entrypoint: str
    runtime_env: dict[str, Any]


def job_of(config: RunConfig, *, now: datetime, working_dir: str | None = None) -> Job:
    """The job that runs this config; `working_dir` is a folder that it finds itself in there."""
    text = dump(config)
    runtime_env: dict[str, Any] = {"env_vars": {CONFIG_VARIABLE: text}}
    if working_dir is not None:
        runtime_env["working_dir"] = working_dir
    return Job(
        submission_id=f"pvtt-flow-{now.astimezone(UTC):%Y%m%dt%H%M%Sz}-{digest(text, 8)}",
        entrypoint=f'printf %s "${CONFIG_VARIABLE}" | pvtt-flow run /dev/stdin',
        runtime_env=runtime_env,
    )


def start(address: str, job: Job) -> "JobSubmissionClient":
    """The job server at a dashboard's address, which has the job now.

    Raises PreflightError when it is not there or does not take it.
    """
    from ray.exceptions import AuthenticationError
    from ray.job_submission import JobSubmissionClient

    try:
        jobs = JobSubmissionClient(address)
        jobs.submit_job(
            entrypoint=job.entrypoint,
            submission_id=job.submission_id,
            runtime_env=job.runtime_env,
        )
    except AuthenticationError:
        raise PreflightError(
            f"--address: {address} expected a token, but got none or a wrong one: set "
            "RAY_AUTH_MODE=token and RAY_AUTH_TOKEN (or RAY_AUTH_TOKEN_PATH) to the cluster's"
        ) from None
    except (OSError, RuntimeError) as error:
        raise PreflightError(
            f"--address: expected a Ray dashboard at {address} that takes the job, but {error}"
        ) from None
    return jobs


@dataclass(slots=True)
class Follower:
    """Shows a job's log as it grows, until the job has ended or cannot be seen any more."""

    jobs: "JobSubmissionClient"
    submission_id: str
    show: Callable[[str], object]
    patience_s: float = PATIENCE_S
    _num_shown: int = field(default=0, init=False)

    def follow(self, *, stopping: bool = False) -> str:
        """The status that the job ended with, asked to or not.

        Raises PreflightError when it is out of sight.
        """
        began = heard = time.monotonic()
        while True:
            try:
                if stopping:
                    self.jobs.stop_job(self.submission_id)
                    stopping = False
                # In this order, so that the log of a finished job is whole.
                status = self.jobs.get_job_status(self.submission_id)
                log = self.jobs.get_job_logs(self.submission_id)
            except (OSError, RuntimeError) as error:
                self._bear(error, time.monotonic() - heard)
            else:
                heard = time.monotonic()
                self.show(log[self._num_shown :])
                self._num_shown = max(self._num_shown, len(log))
                if status in ("SUCCEEDED", "FAILED", "STOPPED"):
                    return str(status)
            pause_s = (time.monotonic() - began) * _PAUSE_SHARE
            time.sleep(min(max(pause_s, _MIN_PAUSE_S), _MAX_PAUSE_S))

    def _bear(self, error: Exception, silence_s: float) -> None:
        if silence_s > self.patience_s:
            raise PreflightError(
                f"job {self.submission_id} has not been seen for {silence_s:.0f} s and may still "
                f"be running: look with `ray job status`, then submit again ({error})"
            ) from None
