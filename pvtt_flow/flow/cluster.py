"""The Ray that a run uses: the cluster it was submitted to, or one of its own on this machine."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

# Rows are small and frames never enter the store, so Ray's default, a third of memory, is waste.
_LOCAL_STORE_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class Capacity:
    """What the cluster can hold."""

    num_cpus: float
    num_gpus: float


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
        total: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
        yield Capacity(num_cpus=total.get("CPU", 0.0), num_gpus=total.get("GPU", 0.0))
    finally:
        ray.shutdown()


def _settle() -> None:
    """Settle what Ray would otherwise decide, or talk about, by itself."""
    # Ray would copy the working folder to its workers when it finds itself under `uv run`.
    os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    # Ray 2.60 warns that it will one day stop hiding GPUs from tasks that ask for none.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    # Ray's C++ side reports as an error that Ray Data passes arguments by reference (ray#53727).
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    # A call to an actor whose machine is gone fails at once, and so do its retries, until Ray
    # takes the machine for dead (a minute at most). Ray doubles this delay from one to the next.
    os.environ.setdefault("RAY_task_actor_unavailable_retry_delay_base_ms", "25000")
    os.environ.setdefault("RAY_task_actor_unavailable_retry_max_delay_ms", "50000")
