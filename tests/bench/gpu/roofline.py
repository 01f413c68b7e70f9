"""Third part: where the time goes, and the share of the roofline.

The roofline counts the operations of the official predictor, so a system that saves some can be
above its own share; all systems are measured against it alike.
"""

from contextlib import ExitStack
from dataclasses import asdict
from typing import cast

from tests.bench.gpu.bench import Bench
from tests.bench.gpu.contestant import Contestant
from tests.bench.gpu.kernels import Profile, attention_kernels
from tests.bench.gpu.peak import Peak, on_paper
from tests.bench.gpu.plan import Name
from tests.bench.gpu.record import Row
from tests.bench.gpu.worker import Worker
from tests.bench.machine import gpu


def measure(bench: Bench) -> None:
    """Measure the peak, then profile the models one after the other."""
    card = gpu()
    paper = on_paper(str(card["name"])) if card else None
    with Worker(Peak, bench.plan.device) as worker:
        peak = bench.attempt(
            {"step": "peak"},
            lambda: {
                "on_paper": paper,
                "measured": worker.call("measure", timeout_s=bench.clock.remaining_s),
            },
        )
    for name in bench.plan.profiled:
        measured = cast("float", peak["measured"]) if peak else None
        _profile(bench, name, {"on_paper": paper, "measured": measured})


def _profile(bench: Bench, name: Name, peaks: dict[str, float | None]) -> None:
    plan = bench.plan
    model = plan.model(name, bench.folder)
    spec = plan.engine(model, plan.profiled_lanes)
    frames = plan.profiled_frames
    with ExitStack() as stack:
        official = stack.enter_context(
            Worker(Contestant, plan.official(model, plan.precision), bench.clips)
        )
        engine = stack.enter_context(Worker(Contestant, spec, bench.clips))

        def call(worker: Worker, method: str, num_frames: int) -> object:
            return worker.call(method, 1, num_frames, timeout_s=bench.clock.remaining_s)

        def run() -> Row:
            flops = cast("int", call(official, "flops_of_last_frame", plan.flops_frames))
            warm = cast("Row", call(engine, "warm_up", plan.num_warm_up_frames))
            run = cast("Row", call(engine, "run", frames))
            profile = cast("Profile", call(engine, "profile", frames))
            speed = cast("float", run["steady_frames_per_s"] or run["frames_per_s"])
            return {
                **warm,
                **run,
                "flops_a_frame": flops,
                "share_of_roofline": {
                    kind: speed * flops / peak if peak else None for kind, peak in peaks.items()
                },
                "idle_share": profile.idle_share,
                "span_s": profile.span_s,
                "attention": attention_kernels(profile.kernels),
                "kernels": [
                    asdict(k) | {"share": k.seconds / profile.busy_s} for k in profile.kernels
                ],
            }

        bench.attempt({"step": "profile", "model": name, "system": spec.name}, run)
