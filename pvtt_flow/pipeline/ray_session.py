"""The Ray that a run uses: the cluster it was submitted to, or one of its own on this machine."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pvtt_flow.errors import ClusterError

# Rows are small and frames never enter the store, so Ray's default, a third of memory, is waste.
_LOCAL_STORE_BYTES = 1 << 30
_KEPT = "What is committed stays; the next run does the rest."


@dataclass(frozen=True, slots=True)
class Capacity:
    """What the cluster can hold."""

    num_cpus: float
    num_gpus: float

    def __str__(self) -> str:
        return f"{self.num_cpus:g} CPUs and {self.num_gpus:g} GPUs"


@contextmanager
def connected() -> Iterator[Capacity]:
    """Connect to `$RAY_ADDRESS` (set in every submitted job), else start Ray here; then leave."""
    _settle()
    import ray

    if os.environ.get("RAY_ADDRESS"):
        ray.init(logging_level=logging.WARNING)
    else:
        ray.init(
            address="local",
            include_dashboard=False,
            logging_level=logging.ERROR,
            # Videos' failures come back as rows; a worker's own words stay in Ray's log folder.
            log_to_driver=False,
            object_store_memory=_LOCAL_STORE_BYTES,
        )
    try:
        yield _capacity()
    finally:
        ray.shutdown()


@contextmanager
def explained(at_start: Capacity, no_progress_timeout_s: float) -> Iterator[None]:
    """While connected: raise ClusterError, in words for people, when Ray gives up."""
    from ray.data.exceptions import ExecutionTimeoutError
    from ray.exceptions import RayActorError, RayError, RayTaskError, UserCodeException

    try:
        yield
    except ExecutionTimeoutError:
        raise ClusterError(
            f"$.run.no_progress_timeout_s: expected a result at least every "
            f"{no_progress_timeout_s:g} s, but none came for so long. The cluster had {at_start} "
            f"when the run began and has {_capacity()} now: where machines are lost, replace them; "
            f"where it is whole, allow more time. {_KEPT}"
        ) from None
    except RayActorError as error:
        raise ClusterError(
            f"expected the processes that hold the models to live, but one died again and again at "
            f"the same work. {_KEPT} Ray says: {_first_line(error)}"
        ) from error
    except (RayTaskError, UserCodeException):
        raise  # a bug of ours, whose traceback is wanted
    except RayError as error:
        raise ClusterError(
            f"expected Ray to go on, but it gave up. {_KEPT} Ray says: {_first_line(error)}"
        ) from error


def _capacity() -> Capacity:
    import ray

    total: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    return Capacity(num_cpus=total.get("CPU", 0.0), num_gpus=total.get("GPU", 0.0))


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


def _settle() -> None:
    """Settle what Ray would otherwise decide, or talk about, by itself."""
    # Ray would copy the working folder to its workers when it finds itself under `uv run`.
    os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    # Ray 2.60 warns that it will one day stop hiding GPUs from tasks that ask for none.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    # Ray's C++ side reports as an error that Ray Data passes arguments by reference (ray#53727).
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    # Where processes outnumber cores, Ray ends a worker a second after its task, and the next task
    # waits until another has imported everything again: five seconds of CPU on a small machine.
    os.environ.setdefault("RAY_idle_worker_killing_time_threshold_ms", "600000")
    # A call to an actor whose machine is gone fails at once, and so do its retries, until Ray
    # takes the machine for dead (a minute at most). Ray doubles this delay from one to the next.
    os.environ.setdefault("RAY_task_actor_unavailable_retry_delay_base_ms", "25000")
    os.environ.setdefault("RAY_task_actor_unavailable_retry_max_delay_ms", "50000")
