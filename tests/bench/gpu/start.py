"""First part: does the engine run at all, and does it see what the official predictor sees?

Each variant tracks one clip in a process of its own; masks are then compared in pairs.
"""

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, replace
from typing import cast

from tests.bench.clips import MAX_OBJECTS
from tests.bench.compare import Masks, agreement_of
from tests.bench.gpu.bench import Bench
from tests.bench.gpu.contestant import Contestant, Spec
from tests.bench.gpu.kernels import Profile, attention_kernels
from tests.bench.gpu.plan import Name
from tests.bench.gpu.record import Row
from tests.bench.gpu.worker import Worker
from tests.bench.systems import Model

# The compiled engine as it ships comes first.
_COMPILED, _EAGER = "engine@1 bfloat16 compiled", "engine@1 bfloat16"
_PAIRS = (
    ("engine@1 float32", "official float32"),
    (_EAGER, "official bfloat16"),
    (_COMPILED, "official bfloat16"),
    (_COMPILED, _EAGER),
    ("official bfloat16", "official float32"),
    (_COMPILED, "official float32"),
)
_NUM_KERNELS = 10


def measure(bench: Bench) -> None:
    """Try the models one after the other, all variants of a model at once."""
    names = bench.plan.tried
    for index, name in enumerate(names):
        _try_all(bench.within(1 / (len(names) - index)), name)


def _try_all(bench: Bench, name: Name) -> None:
    variants = _variants(bench, bench.plan.model(name, bench.folder))
    with ThreadPoolExecutor(len(variants)) as pool:
        found = pool.map(lambda spec: _try(bench, name, spec), variants)
        masks = dict(zip((spec.name for spec in variants), found, strict=True))
    for pair in _PAIRS:
        _compare(bench, name, pair, masks)


def _variants(bench: Bench, model: Model) -> list[Spec]:
    plan = bench.plan
    shipped = replace(plan.engine(model, 1), precision="bfloat16", compile_steps=True)
    return [
        shipped,
        replace(shipped, compile_steps=False),
        replace(shipped, compile_steps=False, precision="float32"),
        plan.official(model, "bfloat16"),
        plan.official(model, "float32"),
    ]


def _try(bench: Bench, name: Name, spec: Spec) -> Masks | None:
    found: list[Masks] = []
    with ExitStack() as stack:
        worker = stack.enter_context(Worker(Contestant, spec, bench.clips))

        def run() -> Row:
            def call(method: str) -> object:
                return worker.call(method, MAX_OBJECTS, frames, timeout_s=bench.clock.remaining_s)

            frames = bench.plan.num_checked_frames
            warm = cast("Row", call("warm_up"))
            found.append(cast("Masks", call("masks")))
            profile = cast("Profile", call("profile"))
            return {
                **warm,
                **cast("Row", call("run")),
                "attention": attention_kernels(profile.kernels),
                "kernels": [asdict(kernel) for kernel in profile.kernels[:_NUM_KERNELS]],
            }

        bench.attempt({"model": name, "system": spec.name}, run)
    return found[0] if found else None


def _compare(
    bench: Bench, name: Name, pair: tuple[str, str], masks: dict[str, Masks | None]
) -> None:
    first, second = (masks[system] for system in pair)
    if first is None or second is None:
        return
    agreement = asdict(agreement_of(first, second))
    bench.add({"model": name, "system": pair[0], "against": pair[1], **agreement})
