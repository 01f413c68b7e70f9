"""Stages without models, which fail as machines and deadly videos make them fail.

Each passes its rows on, so that the videos end as `empty`. Ray's workers import this module.
"""

import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from threading import Lock

import ray

from pvtt_flow.config.schema import RunConfig
from pvtt_flow.stages._failures import guarded
from pvtt_flow.types import ShotRecord

SICK_CPUS = 5.0
"""CPUs of a node whose device is sick."""
# For what must happen: a bound for a stuck test.
_WAIT_S = 400.0


def healthy(_config: RunConfig, **_: object) -> "PassOn":
    """Make a stage that does nothing."""
    return PassOn()


def dies_of(name: str, _config: RunConfig, **_: object) -> "PassOn":
    """Make a stage whose process is killed by one video, as by the system for its memory."""
    return DiesOf(name)


def device_fails_on_sick_nodes(config: RunConfig, **_: object) -> "PassOn":
    """Make a stage whose device fails at once, on nodes with `SICK_CPUS`.

    On other nodes it waits until that has happened often enough to tell.
    """
    faults = Path(f"{config.output.uri}.faults")
    node_id = ray.get_runtime_context().get_node_id()
    (node,) = (node for node in ray.nodes() if node["NodeID"] == node_id)
    is_sick = node["Resources"].get("CPU") == SICK_CPUS
    return DeviceFails(0, faults) if is_sick else WaitsForFaults(faults)


def device_fails(_config: RunConfig, **_: object) -> "PassOn":
    """Make a stage whose device fails after a few rows."""
    return DeviceFails(4)


def fails_with(name: str, _config: RunConfig, **_: object) -> "PassOn":
    """Make a stage that fails for all rows of a batch with one video."""
    return FailsWith(name)


class PassOn:
    """Stage that returns its rows."""

    def __call__(self, records: Sequence[ShotRecord]) -> list[ShotRecord]:
        """Process each row."""
        return [row for r in records for row in guarded("propagate", self.process, r)]

    def process(self, record: ShotRecord) -> Sequence[ShotRecord]:
        """Return the row."""
        return [record]


class DiesOf(PassOn):
    """See `dies_of`."""

    def __init__(self, name: str) -> None:
        self._name = name

    def process(self, record: ShotRecord) -> Sequence[ShotRecord]:
        """Return the row, or die."""
        if self._name in record.source.video_id:
            os.kill(os.getpid(), signal.SIGKILL)
        return [record]


class DeviceFails(PassOn):
    """Stage whose device fails after some rows."""

    def __init__(self, num_rows: int, faults: Path | None = None) -> None:
        self._num_left = num_rows
        self._faults = faults
        self._lock = Lock()

    def process(self, record: ShotRecord) -> Sequence[ShotRecord]:
        """Return the row, while the device works."""
        with self._lock:
            self._num_left -= 1
        if self._num_left < 0:
            if self._faults is not None:
                with self._faults.open("a") as file:
                    file.write(f"{os.getpid()}\n")
            raise RuntimeError("CUDA error: uncorrectable ECC error encountered")
        return [record]


class WaitsForFaults(PassOn):
    """Stage that waits for faults of three processes elsewhere."""

    def __init__(self, faults: Path) -> None:
        self._faults = faults

    def process(self, record: ShotRecord) -> Sequence[ShotRecord]:
        """Return the row, when there are enough."""
        deadline_s = time.monotonic() + _WAIT_S
        while not self._faults.exists() or len({*self._faults.read_text().split()}) < 3:
            if time.monotonic() > deadline_s:
                raise TimeoutError("no process has failed three times")
            time.sleep(0.1)
        return [record]


class FailsWith(PassOn):
    """See `fails_with`."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __call__(self, records: Sequence[ShotRecord]) -> list[ShotRecord]:
        """Process the rows as one batch, of which one row makes all fail."""
        self._is_bad = any(self._name in record.source.video_id for record in records)
        return super().__call__(records)

    def process(self, record: ShotRecord) -> Sequence[ShotRecord]:
        """Return the row, unless the batch is bad."""
        if self._is_bad:
            raise ValueError("the batch has a picture of another size")
        return [record]
