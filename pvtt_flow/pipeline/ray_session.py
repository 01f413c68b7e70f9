"""Ray session of a run: the cluster that it was submitted to, or a local one of its own."""

import logging
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from pvtt_flow.errors import ClusterError

# Rows are small and frames never enter the object store, so Ray's default, a third of memory, is
# too much.
_LOCAL_STORE_BYTES = 1 << 30
_NUM_STARTS = 3
_LOG = logging.getLogger("pvtt_flow")
_STDERR = 2
_KEPT = "Committed results are kept; the next run processes the rest."


@dataclass(frozen=True, slots=True)
class Node:
    """Machine of the cluster."""

    node_id: str
    num_cpus: float
    num_gpus: float


@dataclass(frozen=True, slots=True)
class Cluster:
    """Machines of a cluster."""

    nodes: tuple[Node, ...]

    def __str__(self) -> str:
        num_cpus = sum(node.num_cpus for node in self.nodes)
        num_gpus = sum(node.num_gpus for node in self.nodes)
        return f"{num_cpus:g} CPUs and {num_gpus:g} GPUs"


@contextmanager
def connect_to_ray() -> Iterator[Cluster]:
    """Connect to `$RAY_ADDRESS`, which submitted jobs have, or start Ray; shut down at exit.

    Raises ClusterError if the cluster does not answer, or if Ray does not start.
    """
    _set_ray_defaults()
    import ray

    if address := os.environ.get("RAY_ADDRESS"):
        _connect(address)
    else:
        _start()
    try:
        yield _cluster()
    finally:
        ray.shutdown()


def _init(**options: Any) -> None:
    import ray

    with _own_sigterm_handler(), _without_log_level_notice():
        ray.init(**options)


def _connect(address: str) -> None:
    try:
        _init(logging_level=logging.WARNING)
    except Exception as error:
        raise ClusterError(
            f"$RAY_ADDRESS: a Ray cluster at {address} must answer, but {_first_line(error)}; "
            "check the address, and that the cluster has the same versions of Ray and Python"
        ) from error


def _start() -> None:
    """Start Ray on this machine; on a busy one it may need several attempts.

    Ray gives each of its agents 15 seconds, which is not a setting.
    """
    import ray

    start = partial(
        _init,
        address="local",
        include_dashboard=False,
        logging_level=logging.ERROR,
        # Failures of videos come back as rows; other output of workers stays in Ray's log folder.
        log_to_driver=False,
        object_store_memory=_LOCAL_STORE_BYTES,
    )
    for attempt in range(1, _NUM_STARTS + 1):
        try:
            start()
        except Exception as error:  # Ray raises errors of any class
            if attempt == _NUM_STARTS:
                raise ClusterError(
                    f"Ray must start on this machine, but {_first_line(error)}; run again when the "
                    "machine is less busy, or see Ray's log in /tmp/ray/session_latest/logs"
                ) from error
            _LOG.warning("Ray did not start; trying again (%s)", _first_line(error))
            ray.shutdown()
        else:
            return


@contextmanager
def _own_sigterm_handler() -> Iterator[None]:
    """Keep this process's handler of SIGTERM, if it has one.

    `ray.init` puts two in its place: one exits with 15, one prints a stack trace of C++.
    """
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        # Ray sets none in another thread.
        if callable(handler) and signal.getsignal(signal.SIGTERM) is not handler:
            signal.signal(signal.SIGTERM, handler)


@contextmanager
def _without_log_level_notice() -> Iterator[None]:
    """Leave out the line in which Ray's C++ side says that it has read RAY_BACKEND_LOG_LEVEL.

    It would tear the progress bar. All else that is written to stderr inside follows at the end.
    """
    sys.stderr.flush()
    stderr = os.dup(_STDERR)
    with tempfile.TemporaryFile() as written:
        os.dup2(written.fileno(), _STDERR)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(stderr, _STDERR)
            os.close(stderr)
            written.seek(0)
            lines = (line for line in written if b"RAY_BACKEND_LOG_LEVEL" not in line)
            os.write(_STDERR, b"".join(lines))


@contextmanager
def translate_ray_errors(at_start: Cluster, no_progress_timeout_s: float) -> Iterator[None]:
    """Raise ClusterError, with advice, for errors by which Ray ends a run."""
    from ray.data.exceptions import ExecutionTimeoutError
    from ray.exceptions import RayActorError, RayError, RayTaskError, UserCodeException

    try:
        yield
    except ExecutionTimeoutError:
        raise ClusterError(
            f"$.run.no_progress_timeout_s: a shot must finish at least every "
            f"{no_progress_timeout_s:g} s, got none for that long. The cluster had {at_start} "
            f"at the start of the run and has {_cluster()} now; replace lost machines, or raise "
            f"the timeout if none is lost. {_KEPT}"
        ) from None
    except RayActorError as error:
        raise ClusterError(
            f"an actor must load its model, but it did not: see the last line of what Ray says. "
            f"{_KEPT} Ray says: {_last_line(error)}"
        ) from error
    except (RayTaskError, UserCodeException):
        raise  # a bug of this package, whose traceback is needed
    except RayError as error:
        raise ClusterError(
            f"Ray must keep running, but it gave up. {_KEPT} Ray says: {_first_line(error)}"
        ) from error


def _cluster() -> Cluster:
    import ray

    return Cluster(
        tuple(
            Node(
                node["NodeID"],
                num_cpus=node["Resources"].get("CPU", 0.0),
                num_gpus=node["Resources"].get("GPU", 0.0),
            )
            for node in ray.nodes()
            if node["Alive"]
        )
    )


def _last_line(error: Exception) -> str:
    return str(error).strip().rpartition("\n")[2]


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


def _set_ray_defaults() -> None:
    """Set environment variables of Ray whose defaults do not suit a run; a user's values win."""
    # Under `uv run`, Ray would copy the working folder to its workers.
    os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    # Silences a warning of Ray 2.60 about GPU visibility of tasks without GPUs.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    # Ray's C++ side reports as an error that Ray Data passes arguments by reference (ray#53727).
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    # With more processes than cores, Ray ends an idle worker after a second, and the next task
    # waits for a new one to import everything: five seconds of CPU on a small machine.
    os.environ.setdefault("RAY_idle_worker_killing_time_threshold_ms", "600000")
    # A call to an actor on a lost machine fails at once, and so do its retries, until Ray declares
    # the machine dead, after a minute at most. Ray doubles this delay for each retry.
    os.environ.setdefault("RAY_task_actor_unavailable_retry_delay_base_ms", "1000")
    os.environ.setdefault("RAY_task_actor_unavailable_retry_max_delay_ms", "10000")
