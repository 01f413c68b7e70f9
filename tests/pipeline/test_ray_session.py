"""Messages for errors by which Ray ends a run, or does not start."""

import os
import signal
import sys

import pytest
from ray.data.exceptions import ExecutionTimeoutError
from ray.exceptions import ActorUnavailableError, NodeDiedError, RayTaskError

from pvtt_flow.errors import ClusterError
from pvtt_flow.pipeline import ray_session
from pvtt_flow.pipeline.ray_session import Cluster, Node, connect_to_ray, translate_ray_errors

MACHINE = Node("n", num_cpus=8, num_gpus=1)
AT_START = Cluster((MACHINE, MACHINE))


@pytest.fixture(autouse=True)
def now(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of two is lost."""
    monkeypatch.setattr(ray_session, "_cluster", lambda: Cluster((MACHINE,)))


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            ExecutionTimeoutError("no progress\nOperators still running:"),
            "The cluster had 16 CPUs and 2 GPUs at the start of the run and has 8 CPUs and 1 GPUs",
        ),
        (
            ActorUnavailableError("it died\nin many lines", None),
            "an actor must load its model, but it did not",
        ),
        (NodeDiedError("the machine is gone"), "Ray says: the machine is gone"),
    ],
)
def test_lost_parts_of_the_cluster_are_named(error: Exception, message: str) -> None:
    with pytest.raises(ClusterError) as raised, translate_ray_errors(AT_START, 60):
        raise error
    assert message in str(raised.value)
    assert "Committed results are kept; the next run processes the rest." in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_bug_keeps_its_traceback() -> None:
    bug = RayTaskError("propagate", "Traceback …", ValueError("a bug"))
    with pytest.raises(RayTaskError), translate_ray_errors(AT_START, 60):
        raise bug


class FakeInit:
    """`ray.init` that fails some times."""

    def __init__(self, num_failures: int) -> None:
        self.num_failures = num_failures
        self.addresses: list[str | None] = []

    def __call__(self, address: str | None = None, **options: object) -> None:
        assert options
        self.addresses.append(address)
        if len(self.addresses) <= self.num_failures:
            raise Exception("The current node timed out during startup.\nMore lines")  # noqa: TRY002


@pytest.mark.parametrize("num_failures", [1, 2])
def test_ray_may_need_more_attempts(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, num_failures: int
) -> None:
    monkeypatch.setattr("ray.init", init := FakeInit(num_failures))
    with connect_to_ray() as cluster:
        assert cluster == Cluster((MACHINE,))
    assert init.addresses == ["local"] * (1 + num_failures)
    said = "Ray did not start; trying again (The current node timed out"
    assert caplog.text.count(said) == num_failures


def test_ray_that_does_not_start_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ray.init", init := FakeInit(9))
    message = r"^Ray must start on this machine, but The current node timed out during startup\."
    with pytest.raises(ClusterError, match=message), connect_to_ray():
        pass
    assert len(init.addresses) == 3


def test_a_cluster_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    monkeypatch.setattr("ray.init", init := FakeInit(9))
    message = r"^\$RAY_ADDRESS: a Ray cluster at 10.0.0.1:6379 must answer, but The current node"
    with pytest.raises(ClusterError, match=message), connect_to_ray():
        pass
    assert init.addresses == [None]


def test_the_handler_of_sigterm_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    def init(**_: object) -> None:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(15))

    monkeypatch.setattr("ray.init", init)
    before = signal.getsignal(signal.SIGTERM)
    try:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        with connect_to_ray():
            assert signal.getsignal(signal.SIGTERM) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGTERM, before)


def test_only_the_notice_of_the_log_level_is_left_out(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    said: list[str] = []

    def init(**_: object) -> None:
        os.write(2, b"logging.cc:303: Set ray log level from RAY_BACKEND_LOG_LEVEL to 3\n")
        os.write(2, b"a line of a library\n")
        if not said:
            raise TimeoutError

    monkeypatch.setattr("ray.init", init)
    # Between the two attempts, each of which may take a minute.
    monkeypatch.setattr("ray.shutdown", lambda: said.append(capfd.readouterr().err))
    with connect_to_ray():
        os.write(2, b"a later one\n")
    assert said == ["a line of a library\n", "a line of a library\na later one\n"]
