"""The benchmark of the engine: `python -m tests.bench.engine [--quick] [--only …] [--peers]`.

    embedded, tiny   the engine's speed over the official predictor's: the same weights, frames in
                     memory, 8 clips, 1 and 5 boxed objects a clip, masks compared
    memory           peak of tracking 5,000 frames over that of 100
    job              frames/s of `pvtt-flow run` over the engine's alone
    peers            other implementations' speed (`--peers`)

Systems take turns on one machine, so it should have nothing else to do. Prints tables, then one
line of JSON; a complete run that is not `--quick` also writes every round to `engine.json` beside
this file.
"""

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console

from tests.bench import job, memory
from tests.bench.clips import render
from tests.bench.compare import Comparison, Plan, compare
from tests.bench.job import JobPlan
from tests.bench.machine import describe
from tests.bench.peers import NOTES, PEERS
from tests.bench.results import Results
from tests.bench.systems import Engine, Model, Official, embedded, tiny

SECTIONS = ("embedded", "tiny", "memory", "job")
OUTPUT = Path(__file__).with_name("engine.json")
NUM_CLIPS = 8
# What rounding may do to masks; a mistake does far more.
_MIN_IOU_MEDIAN, _MIN_IOU_P1 = 0.999, 0.99


@dataclass(frozen=True, slots=True)
class Plans:
    """Sizes of the measurements."""

    embedded: Plan
    tiny: Plan
    peers: Plan
    memory_frames: int
    job: JobPlan


FULL = Plans(
    embedded=Plan(NUM_CLIPS, num_frames=32, num_rounds=3, num_checked=NUM_CLIPS),
    tiny=Plan(NUM_CLIPS, num_frames=10, num_rounds=3, num_checked=2),
    peers=Plan(NUM_CLIPS, num_frames=12, num_rounds=3, num_checked=1),
    memory_frames=5_000,
    job=JobPlan(few=4, many=12, num_rounds=3),
)
# Fewer rounds of the same clips: in shorter ones memories do not fill, and the ratios are lower.
QUICK = Plans(
    embedded=Plan(NUM_CLIPS, num_frames=32, num_rounds=1, num_checked=1),
    tiny=Plan(NUM_CLIPS, num_frames=10, num_rounds=1, num_checked=1),
    peers=Plan(NUM_CLIPS, num_frames=12, num_rounds=1, num_checked=1),
    memory_frames=1_000,
    job=JobPlan(few=4, many=8, num_rounds=1),
)


def main() -> None:
    """Measures what the command line asks for."""
    options = _options()
    plans = QUICK if options.quick else FULL
    machine = describe("tests.bench.engine")
    started = time.perf_counter()
    results = Results()
    try:
        with TemporaryDirectory(prefix="bench-") as folder:
            for _ in measure(results, options.only, plans, Path(folder)):
                seconds = round(time.perf_counter() - started)
                facts = {"quick": options.quick, "seconds": seconds, "machine": machine}
                _save(results.record() | facts | {"notes": NOTES}, options.output)
    finally:
        console = Console()
        # A pipe has no width; rich would take 80.
        results.show(console if console.is_terminal else Console(width=120))
    print(json.dumps(results.summary()))


def _save(record: dict[str, object], path: Path | None) -> None:
    """Write what there is so far: the rest may be cut short."""
    if path is not None:
        path.write_text(json.dumps(record, indent=1) + "\n")


def measure(
    results: Results, sections: Sequence[str], plans: Plans, folder: Path
) -> Iterator[None]:
    """Measure some sections, and yield after each; `results` has what is done so far."""
    log = Console(stderr=True)
    if "embedded" in sections:
        log.print("embedded model, official and engine in turn")
        results.embedded = _against_official(embedded(), plans.embedded)
        yield
    if "tiny" in sections:
        log.print("SAM 2.1 tiny at 256 px, official and engine in turn")
        results.tiny = _against_official(tiny(folder), plans.tiny)
        yield
    if "memory" in sections:
        log.print(f"memory of {plans.memory_frames:,} frames")
        results.memory = memory.measure(plans.memory_frames)
        yield
    if "job" in sections:
        log.print("the job through Ray, and the engine alone")
        results.job = job.measure(plans.job, folder)
        yield
    if "peers" in sections:
        for found in _against_peers(tiny(folder), plans.peers, log):
            results.peers.append(found)
            yield


def _against_official(model: Model, plan: Plan) -> Comparison:
    clips = render(plan.num_clips, plan.num_frames)
    found = compare(model.name, Official(model), Engine(model), clips, plan)
    for num_objects, agreement in found.agreements.items():
        if agreement.iou_median < _MIN_IOU_MEDIAN or agreement.iou_p1 < _MIN_IOU_P1:
            raise RuntimeError(
                f"the engine's masks must be the official ones for its speed to mean anything, "
                f"got {agreement} for {num_objects} objects with {model.name}"
            )
    return found


def _against_peers(model: Model, plan: Plan, log: Console) -> Iterator[Comparison]:
    engine, clips = Engine(model), render(plan.num_clips, plan.num_frames)
    for name, make in PEERS.items():
        log.print(f"{name}: {NOTES[name]}")
        yield compare(model.name, make(model), engine, clips, plan)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.engine")
    parser.add_argument("--quick", action="store_true", help="a few minutes, rough numbers")
    parser.add_argument("--only", type=_sections, help=f"some of {','.join(SECTIONS)},peers")
    parser.add_argument("--peers", action="store_true", help="other implementations, too")
    parser.add_argument("--output", type=Path, help="the results file; default as above")
    options = parser.parse_args()
    complete = options.only is None and not options.quick
    if options.output is None and complete:
        options.output = OUTPUT
    options.only = [*(options.only or SECTIONS), *(["peers"] if options.peers else [])]
    return options


def _sections(text: str) -> list[str]:
    names = text.split(",")
    if unknown := set(names) - {*SECTIONS, "peers"}:
        known = ",".join(SECTIONS)
        raise argparse.ArgumentTypeError(f"must be some of {known},peers, got {sorted(unknown)}")
    return names


if __name__ == "__main__":
    main()
