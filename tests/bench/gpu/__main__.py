"""The benchmark on a GPU: `python -m tests.bench.gpu [--minutes 25] [--only …] [--cpu]`.

    start      does the engine run, compiled and eager, and are its masks the official ones
    attention  each kernel that can compute the attention to memories
    speed      the engine at 1, 4, 16 and 64 lanes against the official predictor, eager and
               `vos_optimized`: sizes, objects, with and without decoding
    savings    each saving of the engine's step, on and off
    roofline   kernels of the steady state, idle share, share of the peak
    memory     long clips, many lanes, and memory that runs out
    job        decode, track, encode and write against the engine alone

What is measured runs in processes of its own, so that an error ends one measurement. Each part has
a share of the minutes; what there is no time for is named. Prints tables, then one line of JSON,
and writes all rows, after each of them, to `gpu.json` beside `engine.json`. `--cpu` is a trial of
every part at a small size: its numbers mean nothing.
"""

import argparse
import json
import os
import time
import traceback
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console

from tests.bench.gpu.bench import Bench
from tests.bench.gpu.clock import Clock
from tests.bench.gpu.footage import write_footage
from tests.bench.gpu.plan import ON_CPU, ON_GPU, PARTS, Plan
from tests.bench.gpu.record import Part, Record
from tests.bench.gpu.summary import show, summarize
from tests.bench.machine import describe

OUTPUT = Path(__file__).parents[1] / "gpu.json"


def main() -> None:
    """Measure what the command line asks for."""
    options = _options()
    if options.cpu:
        # Processes side by side: two threads each would wait for one another most of the time.
        os.environ["OMP_NUM_THREADS"] = "1"
    plan = ON_CPU if options.cpu else ON_GPU
    clock = Clock(options.minutes * 60)
    head = {"machine": describe("tests.bench.gpu"), "plan": asdict(plan)}
    record = Record(head, options.output)
    with TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as folder:
        try:
            _measure(plan, options.only, Path(folder), clock, record)
        finally:
            summary = summarize(record.parts, options.dollars_an_hour)
            record.write(summary=summary)
    console = Console()
    # A pipe has no width; rich would take 80.
    show(summary, console if console.is_terminal else Console(width=160))
    print(json.dumps(summary))


def _measure(plan: Plan, names: list[str], folder: Path, clock: Clock, record: Record) -> None:
    log = Console(stderr=True)
    clips = tuple(write_footage(folder, **asdict(plan.footage)))
    for index, name in enumerate(names):
        share = PARTS[name] / sum(PARTS[later] for later in names[index:])
        record.parts[name] = Part()
        bench = Bench(name, plan, folder, clips, clock.part(share), record)
        log.print(f"{name}: at most {bench.clock.remaining_s:.0f} s")
        started = time.perf_counter()
        try:
            # Here, so that a package that is missing costs the parts that need it.
            import_module(f"tests.bench.gpu.{name}").measure(bench)
        except Exception:  # noqa: BLE001 (the other parts are measured anyway)
            bench.add({"step": "part", "error": traceback.format_exc()})
        record.parts[name].seconds = time.perf_counter() - started


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.gpu")
    parser.add_argument("--minutes", type=float, default=25, help="time of all parts; default 25")
    parser.add_argument("--only", type=_parts, default=[*PARTS], help=f"some of {','.join(PARTS)}")
    parser.add_argument("--cpu", action="store_true", help="try every part on a CPU")
    parser.add_argument("--output", type=Path, help="the results file; default as above")
    parser.add_argument(
        "--dollars-an-hour", type=float, default=3.0, help="price of the machine; default 3"
    )
    options = parser.parse_args()
    if options.output is None and not options.cpu:
        options.output = OUTPUT
    return options


def _parts(text: str) -> list[str]:
    names = text.split(",")
    if unknown := set(names) - PARTS.keys():
        raise argparse.ArgumentTypeError(
            f"must be some of {','.join(PARTS)}, got {sorted(unknown)}"
        )
    return [name for name in PARTS if name in names]


if __name__ == "__main__":
    main()
