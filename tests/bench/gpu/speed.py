"""Second part: the engine against its peers, in turn, with equal weights and frames.

Each race has a model and a number of objects. First all systems compile, then their masks are
compared, then they take turns in rounds, with frames in memory and with decoding.
"""

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict
from typing import cast

from tests.bench.compare import Masks, agreement_of
from tests.bench.gpu.bench import Bench
from tests.bench.gpu.contestant import Contestant, Spec
from tests.bench.gpu.plan import Race
from tests.bench.gpu.record import Row
from tests.bench.gpu.worker import Worker, WorkerError

Field = dict[Spec, Worker]


def measure(bench: Bench) -> None:
    """Run the races, the most wanted first."""
    for index, race in enumerate(bench.plan.races):
        if not bench.clock.remaining_s:
            bench.leave_out(f"{race.model} with {race.num_objects} objects")
            continue
        # The first race may take half of the time, and the others what it leaves.
        share = 0.5 if index + 1 < len(bench.plan.races) else 1.0
        _run(bench.within(share), race)


def _run(bench: Bench, race: Race) -> None:
    plan = bench.plan
    model = plan.model(race.model, bench.folder)
    peers = [plan.official(model, plan.precision), plan.vos_optimized(model)]
    engines = [plan.engine(model, lanes) for lanes in race.lanes]
    reference = plan.official(model, "float32")
    with ExitStack() as stack:
        specs = dict.fromkeys([*peers, *engines, reference])
        workers = {
            spec: stack.enter_context(Worker(Contestant, spec, bench.clips)) for spec in specs
        }
        # The peers alone: autotuning measures kernels, and others on the device would disturb it.
        # It may also take for ever.
        field = {s: workers[s] for s in peers if _warm_up(bench.within(0.5), race, s, workers[s])}
        with ThreadPoolExecutor(len(engines)) as pool:
            ready = pool.map(lambda s: _warm_up(bench, race, s, workers[s]), engines)
            field |= {s: workers[s] for s, is_ready in zip(engines, ready, strict=True) if is_ready}
        _compare(bench, race, field | {reference: workers[reference]})
        for nth in range(plan.num_rounds):
            _take_turns(bench, race, field, nth)


def _warm_up(bench: Bench, race: Race, spec: Spec, worker: Worker) -> bool:
    def run() -> Row:
        return cast(
            "Row",
            worker.call(
                "warm_up",
                race.num_objects,
                bench.plan.num_warm_up_frames,
                timeout_s=bench.clock.remaining_s,
            ),
        )

    what = _what(race, spec) | {"num_objects": race.num_objects, "step": "warm_up"}
    return bench.attempt(what, run) is not None


def _take_turns(bench: Bench, race: Race, field: Field, nth: int) -> None:
    """Run every system twice; who goes first changes with every round."""
    order = list(field)[:: 1 if nth % 2 == 0 else -1]
    for decode in (False, True):
        for spec in order:

            def run(spec: Spec = spec, decode: bool = decode) -> Row:  # noqa: FBT001
                return cast(
                    "Row",
                    field[spec].call(
                        "run",
                        race.num_objects,
                        bench.plan.frames_by_lanes[spec.lanes],
                        timeout_s=bench.clock.remaining_s,
                        decode=decode,
                    ),
                )

            what = _what(race, spec) | {"step": "pass", "round": nth}
            if bench.attempt(what, run) is None:
                # Its process is gone, or there is no time.
                field.pop(spec)


def _compare(bench: Bench, race: Race, field: Field) -> None:
    """Compare the masks of each system with the official ones, in this precision and exact."""
    plan = bench.plan
    masks: dict[str, Masks] = {}
    for spec, worker in field.items():
        if not bench.clock.remaining_s:
            break
        try:
            masks[spec.name] = worker.call(
                "masks",
                race.num_objects,
                plan.num_checked_frames,
                timeout_s=bench.clock.remaining_s,
            )
        except WorkerError as error:
            bench.add(_what(race, spec) | {"step": "masks", "error": str(error)})
    exact = "official float32"
    for name, against in (
        (name, against)
        for against in dict.fromkeys((f"official {plan.precision}", exact))
        for name in masks
        if against in masks and name not in (against, exact)
    ):
        bench.add(
            {
                "model": race.model,
                "num_objects": race.num_objects,
                "step": "masks",
                "system": name,
                "against": against,
                **asdict(agreement_of(masks[name], masks[against])),
            }
        )


def _what(race: Race, spec: Spec) -> Row:
    return {"model": race.model, "system": spec.name, "lanes": spec.lanes}
