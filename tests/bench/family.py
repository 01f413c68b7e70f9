"""The benchmark of the architectures: `python -m tests.bench.family [--quick] [--only …]`.

    own size   milliseconds a frame of the engine, at the size of images that each was trained for,
               one object
    compared   the engine's speed over a reference implementation's, on small images, 4 clips, 1 and
               5 boxed objects a clip; and the largest difference of logits from it, with other
               weights and prompts, as the tests compare them

All weights are random, since none are on most machines: speeds do not depend on them. Prints a
table, then one line of JSON; a run of all that is not `--quick` writes every round to `family.json`
beside this file.
"""

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.table import Table

from tests.bench.clips import Filmed, render
from tests.bench.compare import OBJECTS, Plan, Spread, in_turn, timed
from tests.bench.family_members import MEMBERS, Member
from tests.bench.machine import describe
from tests.bench.pace import Pace
from tests.bench.systems import Engine, ignore

OUTPUT = Path(__file__).with_name("family.json")


@dataclass(frozen=True, slots=True)
class Found:
    """Measurements of one member."""

    size_px: int
    own_size_ms: float
    """Milliseconds a frame at its own size; the first, prompted one is left out."""
    compared_px: int
    reference: str
    logit_difference: float
    seconds: dict[str, dict[int, list[float]]]
    """Seconds of each round, by `reference` or `engine` and number of objects."""
    num_disturbed: int = 0
    """Measurements during which the machine was slow."""

    def speedup(self, num_objects: int) -> Spread:
        """Return the engine's speed over the reference's, by rounds."""
        reference, engine = (self.seconds[n][num_objects] for n in ("reference", "engine"))
        return Spread.of([a / b for a, b in zip(reference, engine, strict=True)])


def main() -> None:
    """Measure what the command line asks for."""
    options = _options()
    machine, started_s = describe("tests.bench.family"), time.perf_counter()
    if options.output is None and options.only is None and not options.quick:
        options.output = OUTPUT
    found: dict[str, Found] = {}
    log = Console(stderr=True)
    with TemporaryDirectory(prefix="bench-") as folder:
        for member in (m for m in MEMBERS if options.only is None or m.name in options.only):
            log.print(member.name)
            found[member.name] = measure(member, Path(folder), quick=options.quick)
            if options.output is not None:
                # After each one: the rest may be cut short.
                record = {
                    "summary": summary(found),
                    "members": {name: asdict(each) for name, each in found.items()},
                    "seconds": round(time.perf_counter() - started_s),
                    "machine": machine,
                }
                options.output.write_text(json.dumps(record, indent=1) + "\n")
    Console(width=120).print(_table(found))
    print(json.dumps(summary(found)))


def measure(member: Member, folder: Path, *, quick: bool = False) -> Found:
    """Measure one member."""
    size_px = member.quick_px if quick else member.size_px
    plan = Plan(2, num_frames=3, num_rounds=1, num_checked=0) if quick else member.plan
    own_frames = 2 if quick else member.own_frames
    compared_px = member.quick_px if quick else member.compared_px
    pace = Pace()
    return Found(
        size_px=size_px,
        own_size_ms=_own_size_ms(member, size_px, own_frames, folder, pace),
        compared_px=compared_px,
        reference=member.reference,
        logit_difference=member.compare_logits(member, folder),
        seconds=_compare(member, compared_px, plan, folder, pace),
        num_disturbed=pace.num_disturbed,
    )


def summary(found: dict[str, Found]) -> dict[str, dict[str, object]]:
    """Return the numbers to quote, by name; medians where there are several rounds."""
    return {
        "ms_per_frame": {name: round(f.own_size_ms, 1) for name, f in found.items()},
        "speedup_over_reference": {
            name: {str(n): round(f.speedup(n).median, 2) for n in OBJECTS}
            for name, f in found.items()
        },
        "max_abs_logit_difference": {name: f.logit_difference for name, f in found.items()},
    }


def _own_size_ms(member: Member, size_px: int, num_frames: int, folder: Path, pace: Pace) -> float:
    engine, clip = Engine(member.model(size_px, folder)), render(1, num_frames + 1)[0]
    shorter, longer = (
        _seconds(engine, [Filmed(clip.frames[:n], clip.prompts[:1])], pace)
        for n in (1, num_frames + 1)
    )
    return (longer - shorter) / num_frames * 1e3


def _compare(
    member: Member, size_px: int, plan: Plan, folder: Path, pace: Pace
) -> dict[str, dict[int, list[float]]]:
    model = member.model(size_px, folder)
    reference, engine = member.make_reference(model), Engine(model)
    clips = render(plan.num_clips, plan.num_frames)
    for system in (reference, engine):
        system.track([clips[0].prompting(1)], ignore)
    seconds: dict[str, dict[int, list[float]]] = {
        name: {number: [] for number in OBJECTS} for name in ("reference", "engine")
    }
    for nth in range(plan.num_rounds):
        for system, num_objects in in_turn((reference, engine), nth):
            asked = [clip.prompting(num_objects) for clip in clips]
            name = "engine" if system is engine else "reference"
            seconds[name][num_objects].append(pace.steadily(partial(timed, system, asked)))
    return seconds


def _seconds(engine: Engine, clips: Sequence[Filmed], pace: Pace) -> float:
    engine.track(clips, ignore)
    return pace.steadily(lambda: timed(engine, clips))


def _table(found: dict[str, Found]) -> Table:
    table = Table(title="The engine, by architecture")
    for heading in ("config", "px", "ms/frame", "compared at", "1 object", "5 objects", "logits"):
        table.add_column(heading, justify="left" if heading == "config" else "right")
    for name, each in found.items():
        speedups = [each.speedup(n) for n in OBJECTS]
        table.add_row(
            *(name, str(each.size_px), f"{each.own_size_ms:.0f}", f"{each.compared_px} px"),
            *(f"{s.median:.2f} ({s.low:.2f} to {s.high:.2f})" for s in speedups),
            f"{each.logit_difference:.1e}",
        )
    return table


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.family")
    parser.add_argument("--quick", action="store_true", help="tiny images: a trial, no numbers")
    parser.add_argument("--only", type=lambda text: text.split(","), help="some configs")
    parser.add_argument("--output", type=Path, help="the results file; default as above")
    return parser.parse_args()


if __name__ == "__main__":
    main()
