"""Cost of the journal of calls: `python -m tests.bench.journal`.

A row goes through a Ray actor whose stage does nothing, with the journal of a run and with one that
records nothing, in turn. Seconds of a row (the median of a round) with the journal over seconds
without it, and the difference, which a run pays for each row in each of the stages inspect, detect
and propagate. Prints a table, writes `journal.json` beside this file.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

import ray
from rich.console import Console
from rich.table import Table

from pvtt_flow.config.loading import parse
from pvtt_flow.config.schema import RunConfig
from pvtt_flow.dataset.arrow import Table as Rows
from pvtt_flow.dataset.arrow import to_table
from pvtt_flow.pipeline.call_journal import Decision, Journal, Process
from pvtt_flow.pipeline.operators import JournaledOperator
from pvtt_flow.pipeline.ray_session import connect_to_ray
from pvtt_flow.pipeline.remote_journal import RemoteJournal
from pvtt_flow.types import ShotRecord, Source
from tests.bench.compare import Spread
from tests.bench.machine import describe
from tests.pipeline.faulty_stages import healthy

OUTPUT = Path(__file__).with_name("journal.json")
NUM_ROUNDS, NUM_ROWS = 60, 15


class NoJournal:
    """Journal that records nothing."""

    def begin(self, _process: Process, rows: Sequence[str], *, alone: bool) -> list[Decision]:
        """Let all rows run."""
        del alone
        return [Decision() for _ in rows]

    def begin_alone(self, row: str) -> None:
        """Do nothing."""

    def end(self, process: Process, stage: str, rows: Sequence[str], num_failures: int) -> None:
        """Do nothing."""

    def device_failed(self, process: Process, message: str) -> None:
        """Do nothing."""


class Worker:
    """Actor with a stage that returns its rows."""

    def __init__(self, config: RunConfig, journal: Journal) -> None:
        self._run = JournaledOperator(healthy, config, journal, name="detect", shared=True)

    def process(self, rows: Rows) -> list[Rows]:
        """Return the rows."""
        return list(self._run(rows))


def main() -> None:
    """Measure, print and write."""
    machine = describe("tests.bench.journal")
    config = parse({"input": {"uri": "in"}, "output": {"uri": "out"}})
    with connect_to_ray():
        actor: Any = ray.remote(Worker).options(num_cpus=0)
        workers = [actor.remote(config, journal) for journal in (RemoteJournal(), NoJournal())]
        for worker in workers:
            _seconds_a_row(worker)
        rounds = [[_seconds_a_row(worker) for worker in workers] for _ in range(NUM_ROUNDS)]
    measured = {
        "with_ms": Spread.of([1e3 * with_s for with_s, _ in rounds]),
        "without_ms": Spread.of([1e3 * without_s for _, without_s in rounds]),
        "cost_ms": Spread.of([1e3 * (with_s - without_s) for with_s, without_s in rounds]),
        "ratio": Spread.of([with_s / without_s for with_s, without_s in rounds]),
    }
    table = Table("a row and stage", "median", "lowest", "highest")
    for name, spread in measured.items():
        table.add_row(name, *(f"{v:.2f}" for v in (spread.median, spread.low, spread.high)))
    Console().print(table)
    record = {name: asdict(spread) for name, spread in measured.items()}
    OUTPUT.write_text(json.dumps({"machine": machine, **record, "rounds": rounds}, indent=1) + "\n")
    print(json.dumps({name: spread.median for name, spread in measured.items()}))


def _seconds_a_row(worker: Any) -> float:
    """Return the median of a round."""
    row = ShotRecord(source=Source(video_id="mug", uri="mug.mp4", etag="e", size_bytes=9))
    rows = to_table(ShotRecord, [row])
    each_s = []
    for _ in range(NUM_ROWS):
        started_s = time.perf_counter()
        ray.get(worker.process.remote(rows))
        each_s.append(time.perf_counter() - started_s)
    return median(each_s)


if __name__ == "__main__":
    main()
