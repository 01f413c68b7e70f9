"""Fourth part: memory of long clips, of many lanes, and what happens when it runs out."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any, cast
from unittest.mock import patch

import torch

from pvtt_flow.models.sam2.model import Sam2
from tests.bench.gpu.bench import Bench
from tests.bench.gpu.contestant import Contestant, Spec, tracker_params
from tests.bench.gpu.record import Row
from tests.bench.gpu.worker import Worker
from tests.bench.memory import peak_bytes, track

# Share of the memory that a run needs that it gets when memory is scarce.
_SCARCE_SHARE = 0.6
# On a CPU, batches with more objects than this do not "fit".
_CPU_MAX_OBJECTS = 1


def measure(bench: Bench) -> None:
    """Compare long clips with short ones, then take memory away."""
    plan = bench.plan
    model = plan.model("embedded", bench.folder)
    for lanes, frames in ((plan.long_lanes, plan.long_lane_frames), (1, plan.long_frames)):
        spec = plan.engine(model, lanes)
        for num_frames in (plan.short_frames, frames):
            _track(bench, spec, num_frames)
    _run_out(bench)


class Tracking:
    """Process that tracks clips of one length."""

    def run(self, spec: Spec, num_frames: int) -> Row:
        """Track a clip in every lane and return this process's peaks."""
        track(num_frames, spec.model, tracker_params(spec))
        row: Row = {"host_peak_bytes": peak_bytes()}
        if spec.device == "cuda":
            row["device_peak_bytes"] = torch.cuda.max_memory_allocated()
        return row


class Hog:
    """Process that takes the memory of a device."""

    def leave(self, num_bytes: int) -> Row:
        """Take all but so many bytes, and hold them; return how much and of how much."""
        free, total = torch.cuda.mem_get_info()
        taken = max(0, free - num_bytes)
        self._held = torch.empty(taken, dtype=torch.uint8, device="cuda")
        return {"taken_bytes": taken, "device_bytes": total}


class ScarceContestant(Contestant):
    """Contestant on a CPU whose memory seems to run out."""

    def run(self, num_objects: int, num_frames: int, *, decode: bool = False) -> Row:
        """See `Contestant.run`."""
        with _scarce():
            return super().run(num_objects, num_frames, decode=decode)


def _track(bench: Bench, spec: Spec, num_frames: int) -> None:
    # Memory, not speed: compiling would take longer than tracking.
    spec = replace(spec, compile_steps=False)
    with Worker(Tracking) as worker:
        bench.attempt(
            {"step": "length", "lanes": spec.lanes, "num_frames": num_frames},
            lambda: cast(
                "Row", worker.call("run", spec, num_frames, timeout_s=bench.clock.remaining_s)
            ),
        )


def _run_out(bench: Bench) -> None:
    """Track with enough memory, then with too little."""
    plan, race = bench.plan, bench.plan.scarce
    [lanes] = race.lanes
    spec = replace(plan.engine(plan.model(race.model, bench.folder), lanes), compile_steps=False)
    what: Row = {"model": race.model, "lanes": lanes}
    with Worker(Contestant, spec, bench.clips) as worker:
        enough = bench.attempt({"step": "enough memory"} | what, lambda: _run(bench, worker))
    if enough is None:
        return
    with ExitStack() as stack:
        taken: Row = {}
        if plan.device == "cuda":
            hog = stack.enter_context(Worker(Hog))
            left = int(cast("int", enough["device_reserved_bytes"]) * _SCARCE_SHARE)
            taken = hog.call("leave", left, timeout_s=bench.clock.remaining_s)
        kind = Contestant if plan.device == "cuda" else ScarceContestant
        scarce = stack.enter_context(Worker(kind, spec, bench.clips))
        bench.attempt(
            {"step": "too little memory"} | what | taken,
            lambda: _run(bench, scarce) | {"num_expected": enough["num_frames"]},
        )


def _run(bench: Bench, worker: Worker) -> Row:
    race, plan = bench.plan.scarce, bench.plan
    frames = plan.frames_by_lanes[race.lanes[0]]
    row: Row = worker.call("run", race.num_objects, frames, timeout_s=bench.clock.remaining_s)
    return row


@contextmanager
def _scarce() -> Iterator[None]:
    """Raise as a full device does when a batch has more than `_CPU_MAX_OBJECTS`."""
    track_step = Sam2.track_step

    def limited(model: Sam2, *args: Any) -> Any:
        if len(args[0].tokens) > _CPU_MAX_OBJECTS:
            raise torch.OutOfMemoryError("no memory is left, on purpose")
        return track_step(model, *args)

    with patch.object(Sam2, "track_step", limited):
        yield
