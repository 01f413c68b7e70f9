import os
from threading import Event

import pytest

from tests.bench.gpu.worker import OutOfTime, Worker, WorkerError

# Far more than a process takes to start, on a busy machine too.
LONG_S = 300


class Subject:
    """Object of a worker."""

    def __init__(self, name: str) -> None:
        self._name = name

    def greet(self, greeting: str) -> str:
        return f"{greeting}, {self._name}"

    def fail(self) -> None:
        raise ValueError("on purpose")

    def die(self) -> None:
        os._exit(3)

    def wait(self) -> None:
        Event().wait()


def test_a_worker_answers_and_tells_its_errors() -> None:
    with Worker(Subject, "Ada") as worker:
        assert worker.call("greet", "hello", timeout_s=LONG_S) == "hello, Ada"
        with pytest.raises(WorkerError, match="ValueError: on purpose"):
            worker.call("fail", timeout_s=LONG_S)
        assert worker.call("greet", "still here", timeout_s=LONG_S) == "still here, Ada"
        with pytest.raises(WorkerError, match="ended with 3"):
            worker.call("die", timeout_s=LONG_S)


def test_a_worker_that_takes_too_long_is_ended() -> None:
    with Worker(Subject, "Ada") as worker:
        worker.call("greet", "hello", timeout_s=LONG_S)
        with pytest.raises(OutOfTime, match="wait"):
            worker.call("wait", timeout_s=0.01)
