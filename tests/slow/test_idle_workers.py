"""A worker that has nothing to do for a while is there for the next task."""

import os
import time

import psutil
import pytest

from pvtt_flow.pipeline.ray_session import connect_to_ray

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def test_idle_workers_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    # Ray only ends them where they are more than this, which is the number of cores if not given.
    monkeypatch.setenv("RAY_num_workers_soft_limit", "0")
    with connect_to_ray():
        import ray

        @ray.remote
        def pid() -> int:
            return os.getpid()

        worker = ray.get(pid.remote())
        time.sleep(4)
        assert psutil.pid_exists(worker)
