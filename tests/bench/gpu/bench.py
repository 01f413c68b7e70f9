"""Plan, footage, clock and record, which every part of the benchmark has at hand."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from tests.bench.clips import Encoded
from tests.bench.gpu.clock import Clock
from tests.bench.gpu.plan import Plan
from tests.bench.gpu.record import Record, Row
from tests.bench.gpu.worker import OutOfTime, WorkerError


@dataclass(frozen=True, slots=True)
class Bench:
    """Part of the benchmark, with its time."""

    part: str
    plan: Plan
    folder: Path
    clips: tuple[Encoded, ...]
    clock: Clock
    record: Record

    def within(self, share: float) -> "Bench":
        """Return the part with this share of its remaining time."""
        return replace(self, clock=self.clock.part(share))

    def add(self, row: Row) -> None:
        """Record a row."""
        self.record.add(self.part, row)

    def leave_out(self, what: str) -> None:
        """Record what there was no time for."""
        self.record.leave_out(self.part, what)

    def attempt(self, what: Row, measure: Callable[[], Row]) -> Row | None:
        """Record the row of a measurement, or its error; return the row if there is one.

        `what` says what is measured and opens the row.
        """
        if not self.clock.remaining_s:
            self.leave_out(_described(what))
            return None
        try:
            row = what | measure()
        except OutOfTime as error:
            self.leave_out(f"{_described(what)}: {error}")
            return None
        except WorkerError as error:
            self.add(what | {"error": str(error)})
            return None
        self.add(row)
        return row


def _described(what: Row) -> str:
    return ", ".join(str(value) for value in what.values())
