"""Results of all measurements: numbers to quote, a record to keep, tables to read."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field

from rich.console import Console
from rich.table import Table

from tests.bench.compare import OBJECTS, Comparison, Spread
from tests.bench.job import Job
from tests.bench.memory import Memory


@dataclass(slots=True)
class Results:
    """Results of the benchmark; None for a part that was not measured."""

    embedded: Comparison | None = None
    tiny: Comparison | None = None
    memory: Memory | None = None
    job: Job | None = None
    peers: list[Comparison] = field(default_factory=list)

    @property
    def comparisons(self) -> Iterator[Comparison]:
        """Comparisons of the engine with other systems."""
        yield from (c for c in (self.embedded, self.tiny) if c is not None)
        yield from self.peers

    def summary(self) -> dict[str, float | int | None]:
        """The numbers to quote; medians where there are several rounds."""
        tiny, memory, job = self.tiny, self.memory, self.job
        return {
            "embedded_ratio_1_object": _ratio(self.embedded, 1),
            "embedded_ratio_5_objects": _ratio(self.embedded, OBJECTS[-1]),
            "tiny_ratio_1_object": _ratio(tiny, 1),
            "tiny_ratio_5_objects": _ratio(tiny, OBJECTS[-1]),
            "tiny_cost_5_over_1": None if tiny is None else _cost(tiny),
            "memory_5000_over_100": None if memory is None else _rounded(memory.ratio),
            "memory_frames": None if memory is None else memory.long_frames,
            "job_over_engine": None if job is None else _rounded(job.ratio.median),
        }

    def record(self) -> dict[str, object]:
        """Return all results with all rounds."""
        return {
            "summary": self.summary(),
            "embedded": None if self.embedded is None else _record(self.embedded),
            "tiny": None if self.tiny is None else _record(self.tiny),
            "memory": None if self.memory is None else asdict(self.memory),
            "job": None if self.job is None else _job_record(self.job),
            "peers": {peer.other: _record(peer) for peer in self.peers},
        }

    def show(self, console: Console) -> None:
        """Prints what was measured."""
        if any(True for _ in self.comparisons):
            console.print(self._speeds())
        if self.memory is not None:
            short, long = self.memory.short_bytes / 1e6, self.memory.long_bytes / 1e6
            console.print(
                f"peak memory: {self.memory.short_frames:,} frames {short:,.0f} MB, "
                f"{self.memory.long_frames:,} frames {long:,.0f} MB: {self.memory.ratio:.3f} times"
            )
        if self.job is not None:
            console.print(
                f"steady state: job {self.job.job_frames_per_s:.1f} frames/s, engine alone "
                f"{self.job.engine_frames_per_s:.1f} frames/s: {_shown(self.job.ratio)}"
            )

    def _speeds(self) -> Table:
        table = Table(title="From frames in memory to masks at display size")
        for heading in ("model", "objects", "system"):
            table.add_column(heading)
        for heading in ("ms/frame", "object-frames/s", "engine is faster", "IoU median, p1"):
            table.add_column(heading, justify="right")
        for one in self.comparisons:
            for n in OBJECTS:
                agreement = one.agreements[n]
                table.add_row(
                    *_speed(one, one.other, n),
                    _shown(one.ratio(n)),
                    f"{agreement.iou_median:.4f}, {agreement.iou_p1:.4f}",
                )
                table.add_row(*_speed(one, "engine", n), "", "")
        return table


def _speed(one: Comparison, system: str, num_objects: int) -> tuple[str, ...]:
    return (
        one.model,
        str(num_objects),
        system,
        f"{one.frame_ms(system, num_objects):.1f}",
        f"{one.object_frames_per_s(system, num_objects):.1f}",
    )


def _record(one: Comparison) -> dict[str, object]:
    systems = (one.other, "engine")
    return asdict(one) | {
        "ratio": {n: asdict(one.ratio(n)) for n in OBJECTS},
        "cost_5_over_1": {s: asdict(one.cost_of_more_objects(s)) for s in systems},
        "frame_ms": {s: {n: one.frame_ms(s, n) for n in OBJECTS} for s in systems},
        "object_frames_per_s": {
            s: {n: one.object_frames_per_s(s, n) for n in OBJECTS} for s in systems
        },
    }


def _job_record(job: Job) -> dict[str, object]:
    return asdict(job) | {
        "ratio": asdict(job.ratio),
        "job_frames_per_s": job.job_frames_per_s,
        "engine_frames_per_s": job.engine_frames_per_s,
    }


def _cost(one: Comparison) -> float:
    return _rounded(one.cost_of_more_objects("engine").median)


def _ratio(one: Comparison | None, num_objects: int) -> float | None:
    return None if one is None else _rounded(one.ratio(num_objects).median)


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")


def _shown(ratio: Spread) -> str:
    return f"{ratio.median:.2f}x ({ratio.low:.2f} to {ratio.high:.2f})"
