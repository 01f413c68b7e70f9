"""Journal of the rows that processes work on, so that a death is charged to what caused it.

A process of Ray that dies takes down all rows that it works on, and Ray calls them again. Which row
was it? Rows whose process died are suspects and run alone from then on; the guilty one dies again,
alone, and is refused. A broken device kills whatever runs on it, so its faults are charged to its
machine, unless the same row fails alone where other rows succeed.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Protocol

# Faults of a machine after which it gets no more work. A fault is forgotten after so many rows.
_MAX_FAULTS, _FORGOTTEN_AFTER = 3, 1000
# Unexpected failures of one machine that are too many, if other machines have next to none.
_MIN_FAILURES, _MANY, _FEW = 5, 0.5, 0.1


@dataclass(frozen=True, slots=True)
class Machine:
    """Node of the Ray cluster."""

    node_id: str
    address: str
    """IP address, for people."""


@dataclass(frozen=True, slots=True)
class Process:
    """Life of a Ray worker process; a restarted actor is another one."""

    process_id: str
    """Unique in the cluster."""
    machine: Machine


@dataclass(frozen=True, slots=True)
class Decision:
    """Answer to a process that starts a row: how to run it."""

    num_deaths: int = 0
    """Deaths of processes that ran this row alone."""
    is_suspect: bool = False
    """True if the row must run alone, since a process died while it ran the row."""
    refusal: str | None = None
    """Message for the failure of a row that must not run again."""


@dataclass(frozen=True, slots=True)
class SickMachine:
    """Machine to leave out, and the reason."""

    machine: Machine
    reason: str


@dataclass(slots=True)
class _Call:
    """Row in a process."""

    process: Process
    is_alone: bool


@dataclass(frozen=True, slots=True)
class _Death:
    """Death of a process that ran one row alone."""

    machine: Machine
    was_reported: bool
    """True if the process said that its device failed."""
    num_done: int
    """Rows that had been finished on the machine until then."""


@dataclass(frozen=True, slots=True)
class _Fault:
    """Device or process that failed on a machine."""

    process: Process
    message: str
    row: str | None
    """Row that ran alone, if one did."""
    num_done: int
    """Rows that had been finished on the machine until then."""


@dataclass(slots=True)
class _Health:
    """Record of a machine in this run."""

    machine: Machine
    num_done: int = 0
    faults: list[_Fault] = field(default_factory=list)


class Journal(Protocol):
    """Protocol between the processes of a run and its journal."""

    def begin(self, process: Process, rows: Sequence[str], *, alone: bool) -> list[Decision]:
        """Record that rows start."""
        ...

    def begin_alone(self, row: str) -> None:
        """Record that nothing else runs in the row's process."""
        ...

    def end(self, process: Process, stage: str, rows: Sequence[str], num_failures: int) -> None:
        """Record that rows are finished."""
        ...

    def device_failed(self, process: Process, message: str) -> None:
        """Record that the process ends because of its device."""
        ...


class CallJournal:
    """Journal of one run."""

    def __init__(self, alive_node_ids: Callable[[], Collection[str]]) -> None:
        self._alive_node_ids = alive_node_ids
        self._calls: dict[str, _Call] = {}
        self._suspects: set[str] = set()
        self._deaths: dict[str, list[_Death]] = defaultdict(list)
        self._health: dict[str, _Health] = {}
        self._results: dict[str, Counter[str]] = defaultdict(Counter)
        """By stage: finished rows of each node."""
        self._failures: dict[str, Counter[str]] = defaultdict(Counter)
        """By stage: rows of each node that failed unexpectedly."""

    def begin(self, process: Process, rows: Sequence[str], *, alone: bool) -> list[Decision]:
        """Record that rows start; a row that is recorded elsewhere has lost its process."""
        decisions = []
        for row in rows:
            self._bury(row, process)
            refusal = self._refusal(row)
            if refusal is None:
                self._calls[row] = _Call(process, is_alone=alone)
            num_deaths = len(self._deaths.get(row, ()))
            decisions.append(Decision(num_deaths, row in self._suspects, refusal))
        return decisions

    def begin_alone(self, row: str) -> None:
        """Record that nothing else runs in the row's process from now on."""
        if row in self._calls:  # not after a restart of the journal
            self._calls[row].is_alone = True

    def end(self, process: Process, stage: str, rows: Sequence[str], num_failures: int) -> None:
        """Record that rows are finished; `num_failures` of them failed unexpectedly."""
        for row in rows:
            self._calls.pop(row, None)
            self._suspects.discard(row)
            self._deaths.pop(row, None)
        node_id = process.machine.node_id
        self._health_of(process.machine).num_done += len(rows)
        self._results[stage][node_id] += len(rows)
        self._failures[stage][node_id] += num_failures

    def device_failed(self, process: Process, message: str) -> None:
        """Record that the process ends because of its device; a fault, however many rows say so.

        Each row that a process is tracking fails with its device, in a thread of its own.
        """
        health = self._health_of(process.machine)
        rows = [row for row, call in self._calls.items() if call.process == process]
        if all(fault.process != process for fault in health.faults):
            alone = next((row for row in rows if self._calls[row].is_alone), None)
            if alone is not None:
                self._deaths[alone].append(
                    _Death(process.machine, was_reported=True, num_done=health.num_done)
                )
            health.faults.append(_Fault(process, message, alone, health.num_done))
        for row in rows:
            del self._calls[row]
            self._suspects.add(row)

    def sick_machines(self) -> list[SickMachine]:
        """Return the machines that should get no more work."""
        by_devices = [
            SickMachine(health.machine, f"its device failed {len(faults)} times: {faults[-1]}")
            for health in self._health.values()
            if len(faults := self._faults_of(health)) >= _MAX_FAULTS
        ]
        by_failures = [
            SickMachine(
                self._health[node_id].machine,
                f"{failures[node_id]} of {self._results[stage][node_id]} shots failed there in "
                f"stage {stage}, and next to none elsewhere",
            )
            for stage, failures in self._failures.items()
            for node_id in failures
            if _is_outlier(node_id, failures, self._results[stage])
        ]
        return by_devices + by_failures

    def _bury(self, row: str, process: Process) -> None:
        """Draw conclusions from an earlier call of the row that has not ended."""
        call = self._calls.get(row)
        if call is None or call.process == process:
            return
        machine = call.process.machine
        if machine.node_id not in self._alive_node_ids():
            return  # the whole machine was lost
        self._suspects.add(row)
        if call.is_alone:
            num_done = self._health_of(machine).num_done
            self._deaths[row].append(_Death(machine, was_reported=False, num_done=num_done))

    def _refusal(self, row: str) -> str | None:
        if not self._is_guilty(row):
            return None
        deaths = self._deaths[row]
        addresses = ", ".join(sorted({death.machine.address for death in deaths}))
        return (
            f"a worker process must survive the video, but {len(deaths)} died while they processed "
            f"nothing else (on {addresses}), of memory perhaps; see the logs of Ray, lower "
            f"$.shots.max_length_s, or take the video out of the input"
        )

    def _is_guilty(self, row: str) -> bool:
        """Return whether the row kills processes, by two of their deaths at least."""
        deaths = self._deaths.get(row, [])
        return any(_is_proof(earlier, deaths[-1]) for earlier in deaths[:-1])

    def _faults_of(self, health: _Health) -> list[str]:
        """Return the messages of a machine's recent faults that no row is guilty of."""
        return [
            fault.message
            for fault in health.faults
            if health.num_done - fault.num_done <= _FORGOTTEN_AFTER
            and (fault.row is None or not self._is_guilty(fault.row))
        ]

    def _health_of(self, machine: Machine) -> _Health:
        return self._health.setdefault(machine.node_id, _Health(machine))


def _is_proof(earlier: _Death, last: _Death) -> bool:
    """Return whether two deaths of the same row are its own fault.

    If its device failed both times, they were of two machines, or the machine finished other rows
    between them.
    """
    return (
        not (earlier.was_reported and last.was_reported)
        or earlier.machine != last.machine
        or earlier.num_done < last.num_done
    )


def _is_outlier(node_id: str, failures: Counter[str], results: Counter[str]) -> bool:
    """Return whether most rows fail on one machine, and next to none on all others together."""
    here, num_here = failures[node_id], results[node_id]
    elsewhere, num_elsewhere = failures.total() - here, results.total() - num_here
    return (
        here >= _MIN_FAILURES
        and here > _MANY * num_here
        and num_elsewhere >= _MIN_FAILURES
        and elsewhere < _FEW * num_elsewhere
    )
