"""A job and its follower, on a job server made by hand: no Ray, so not slow."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
import yaml

from pvtt_flow.cli.submit import code_of_job
from pvtt_flow.config import loading
from pvtt_flow.errors import ClusterError, PreflightError
from pvtt_flow.pipeline.job import CONFIG_VARIABLE, JobMonitor, make_submission, submit

CONFIG = loading.parse({"input": {"uri": "s3://in"}, "output": {"uri": "s3://it's/out"}})
NOW = datetime(2026, 11, 21, 14, 5, 9, tzinfo=UTC)
LOST = ConnectionError("connection refused")
Look = tuple[str, str] | Exception


@dataclass
class Info:
    """Answer of the server about a job."""

    status: str
    driver_exit_code: int | None = None
    message: str | None = None


@dataclass
class FakeJobs:
    """Says the next (status, log) at each look; raises what is not such a pair."""

    looks: Iterator[Look]
    deaf: int = 0
    """To so many requests to stop."""
    stopped: list[str] = field(default_factory=list)
    _log: str = ""

    def get_job_info(self, job_id: str) -> Info:
        assert job_id == "j"
        look = next(self.looks)
        if isinstance(look, Exception):
            raise look
        status, self._log = look
        return Info(status)

    def get_job_logs(self, job_id: str) -> str:
        assert job_id == "j"
        return self._log

    def stop_job(self, job_id: str) -> bool:
        if self.deaf:
            self.deaf -= 1
            raise LOST
        self.stopped.append(job_id)
        return True


@pytest.fixture(autouse=True)
def slept_s(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses, which pass at once."""
    pauses_s: list[float] = []
    monkeypatch.setattr("pvtt_flow.pipeline.job.time.sleep", pauses_s.append)
    monkeypatch.setattr("pvtt_flow.pipeline.job.time.monotonic", lambda: sum(pauses_s))
    return pauses_s


def test_the_job_carries_the_whole_config_and_names_itself() -> None:
    job = make_submission(CONFIG, now=NOW)
    text = job.runtime_env["env_vars"][CONFIG_VARIABLE]
    assert loading.parse(yaml.safe_load(text)) == CONFIG
    assert job == make_submission(CONFIG, now=NOW)
    assert job.submission_id.startswith("pvtt-flow-20261121t140509z-")
    assert "working_dir" not in job.runtime_env
    assert make_submission(CONFIG, now=NOW, working_dir="w").runtime_env["working_dir"] == "w"


def test_a_log_is_shown_once_through_lost_connections_to_the_end(slept_s: list[float]) -> None:
    looks: list[Look] = [
        ("PENDING", ""), ("RUNNING", "a\n"), LOST, RuntimeError("502"), ("RUNNING", "a\nb"),
        ("SUCCEEDED", "a\nb\nc\n"),
    ]  # fmt: skip
    shown: list[str] = []
    assert JobMonitor(FakeJobs(iter(looks)), "j", shown.append).follow().status == "SUCCEEDED"
    assert "".join(shown) == "a\nb\nc\n"
    assert slept_s == [1.0] * 5


def test_a_long_job_is_polled_less_often(slept_s: list[float]) -> None:
    looks = [*[("RUNNING", "")] * 300, ("FAILED", "")]
    assert JobMonitor(FakeJobs(iter(looks)), "j", print).follow().status == "FAILED"
    assert (slept_s[0], slept_s[-1]) == (1.0, 15.0)


def test_an_unreachable_job_is_given_up(slept_s: list[float]) -> None:
    jobs = FakeJobs(iter([("RUNNING", ""), *[LOST] * 1000]))
    with pytest.raises(ClusterError, match=r"job j has been unreachable for .* refused"):
        JobMonitor(jobs, "j", print, unreachable_timeout_s=30).follow()
    assert 30 < sum(slept_s) < 40


def test_stopping_repeats_the_request_and_waits_for_the_end() -> None:
    jobs = FakeJobs(iter([("RUNNING", ""), ("RUNNING", ""), ("STOPPED", "")]), deaf=2)
    assert JobMonitor(jobs, "j", print).follow(stopping=True).status == "STOPPED"
    assert jobs.stopped == ["j"]


@pytest.mark.parametrize(
    ("ended", "code"),
    [
        (Info("SUCCEEDED", 0), 0),
        (Info("FAILED", 1), 1),
        (Info("FAILED", 2), 2),
        (Info("FAILED", 70), 70),
        (Info("FAILED", -9), 137),
        (Info("FAILED", None, "the node of its driver died"), 3),
        (Info("STOPPED"), 3),
        (Info("STOPPED", 143), 3),
    ],
)
def test_the_code_is_that_of_the_run(ended: Info, code: int) -> None:
    assert code_of_job(ended) == code


class YoungServer:
    """Job server that fails with some errors first; it has no agent that could take the job yet."""

    def __init__(self, *errors: str) -> None:
        self.errors = list(errors)
        self.num_taken = 0

    def __call__(self, address: str) -> "YoungServer":
        assert address == "http://head:8265"
        return self

    def submit_job(self, **job: object) -> None:
        assert job["submission_id"] == JOB.submission_id
        if self.errors:
            raise RuntimeError(self.errors.pop(0))
        self.num_taken += 1


JOB = make_submission(CONFIG, now=NOW)
FAILED = "Request failed with status code 500"
NO_AGENT = f"{FAILED}: No available agent to submit job, please try again later."
THERE = f"{FAILED}: ValueError: Job with submission_id {JOB.submission_id} already exists."


@pytest.mark.parametrize(("errors", "num_taken"), [((NO_AGENT,) * 3, 1), ((NO_AGENT, THERE), 0)])
def test_a_cluster_that_is_not_ready_is_asked_again(
    monkeypatch: pytest.MonkeyPatch,
    slept_s: list[float],
    errors: tuple[str, ...],
    num_taken: int,
) -> None:
    monkeypatch.setattr("ray.job_submission.JobSubmissionClient", server := YoungServer(*errors))
    client: object = submit("http://head:8265", JOB)
    assert client is server
    assert (server.num_taken, server.errors) == (num_taken, [])
    assert slept_s == [3.0] * (len(errors) - (not num_taken))


def test_patience_with_a_cluster_is_bounded(
    monkeypatch: pytest.MonkeyPatch, slept_s: list[float]
) -> None:
    monkeypatch.setattr("ray.job_submission.JobSubmissionClient", YoungServer(*[NO_AGENT] * 999))
    with pytest.raises(ClusterError, match=r"must take the job, but .* No available agent"):
        submit("http://head:8265", JOB)
    assert 100 < sum(slept_s) <= 130


def test_what_the_server_refuses_is_not_repeated(
    monkeypatch: pytest.MonkeyPatch, slept_s: list[float]
) -> None:
    server = YoungServer("Request failed with status code 400: bad runtime_env")
    monkeypatch.setattr("ray.job_submission.JobSubmissionClient", server)
    with pytest.raises(PreflightError, match=r"must take the job, but .* bad runtime_env"):
        submit("http://head:8265", JOB)
    assert slept_s == []


def test_a_working_dir_that_is_too_large_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: object, *args: object, **options: object) -> None:
        raise RuntimeError("Request failed with status code 413: Request Entity Too Large.")

    monkeypatch.setattr("ray.job_submission.JobSubmissionClient.__init__", refuse)
    with pytest.raises(PreflightError, match=r"^--working-dir: .* takes about 100 MB"):
        submit("http://127.0.0.1:8265", make_submission(CONFIG, now=NOW, working_dir="w"))
