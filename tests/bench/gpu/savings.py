"""Part: each saving of the engine's step, on and off in turn, with equal masks.

The engine as it ships is measured against itself without one saving, on frames in memory and with
decoding: seconds without over seconds with it.
"""

from dataclasses import replace
from typing import cast

from tests.bench.compare import Masks, agreement_of
from tests.bench.gpu.bench import Bench
from tests.bench.gpu.contestant import Contestant, Spec
from tests.bench.gpu.record import Row
from tests.bench.gpu.worker import Worker


def measure(bench: Bench) -> None:
    """Measure the savings one after the other."""
    plan = bench.plan
    spec = plan.engine(plan.model(plan.saving_model, bench.folder), plan.saving_lanes)
    with Worker(Contestant, spec, bench.clips) as shipped:
        variants = without(spec)
        for index, (saving, other) in enumerate(variants.items()):
            share = 1 / (len(variants) - index)
            with Worker(Contestant, other, bench.clips) as worker:
                _measure(bench.within(share), saving, shipped, worker)


def without(spec: Spec) -> dict[str, Spec]:
    """Return the engine without each of its savings, by the saving's name."""
    tuning = spec.tuning
    return {
        "kernel of attention": replace(spec, tuning=replace(tuning, attention="torch's choice")),
        "uploads ahead": replace(spec, tuning=replace(tuning, uploads_ahead=False)),
        "wait for batches": replace(spec, tuning=replace(tuning, max_wait_s=0.0)),
    }


def _measure(bench: Bench, saving: str, shipped: Worker, other: Worker) -> None:
    plan = bench.plan
    frames = plan.frames_by_lanes[plan.saving_lanes]

    def call(worker: Worker, method: str, num_frames: int, **named: object) -> object:
        return worker.call(method, 1, num_frames, timeout_s=bench.clock.remaining_s, **named)

    def warm_up() -> Row:
        both = shipped, other
        rows = [cast("Row", call(each, "warm_up", plan.num_warm_up_frames)) for each in both]
        masks = [cast("Masks", call(each, "masks", plan.num_checked_frames)) for each in both]
        agreement = agreement_of(*masks)
        return {
            "chosen": [row["chosen"] for row in rows],
            "iou_median": agreement.iou_median,
            "iou_p1": agreement.iou_p1,
        }

    if bench.attempt({"step": "warm_up", "saving": saving}, warm_up) is None:
        return
    for nth in range(plan.num_rounds):
        for decode in (False, True):

            def run(nth: int = nth, decode: bool = decode) -> Row:  # noqa: FBT001
                order = [shipped, other][:: 1 if nth % 2 == 0 else -1]
                found = {
                    worker: cast("Row", call(worker, "run", frames, decode=decode))
                    for worker in order
                }
                speeds = [_speed(found[worker]) for worker in (shipped, other)]
                return {"with": speeds[0], "without": speeds[1], "ratio": speeds[0] / speeds[1]}

            what: Row = {"step": "saving", "saving": saving, "round": nth, "decode": decode}
            if bench.attempt(what, run) is None:
                return


def _speed(row: Row) -> float:
    return cast("float", row["steady_frames_per_s"] or row["frames_per_s"])
