"""Scheduler without threads: one step after another until each shot has finished."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Literal

import torch

from pvtt_flow.models.sam2.model import Sam2
from pvtt_flow.models.sam2.scheduler import FrameResult, Scheduler, ShotFinished
from pvtt_flow.models.sam2.shot_state import Phase, ShotState
from pvtt_flow.models.tracker import TrackerParams
from tests.models.sam2.shots import Shot
from tests.models.sam2.wait_until import Notifier

Direction = Literal["forward", "backward", "both"]


def run(
    model: Sam2,
    shots: Sequence[Shot],
    direction: Direction,
    *,
    scheduler: Scheduler | None = None,
    bfloat16: bool = False,
) -> list[list[FrameResult]]:
    """Track shots together; return the results of each shot, in order."""
    dtype = torch.bfloat16 if bfloat16 else torch.float32
    scheduler = scheduler or Scheduler(model, max_concurrent_shots=4, memory_dtype=dtype)
    notifier = Notifier()
    params = TrackerParams(direction=direction)
    states = [ShotState(shot.prompted, params, model.input, notifier) for shot in shots]
    for state in states:
        scheduler.add_shot(state)
    results: dict[ShotState, list[FrameResult]] = {state: [] for state in states}
    with torch.inference_mode(), autocast(bfloat16=bfloat16):
        for event in events(scheduler, states, notifier):
            if isinstance(event, FrameResult):
                results[event.shot].append(event)
            elif event.error is not None:
                raise event.error
    return list(results.values())


def autocast(*, bfloat16: bool) -> AbstractContextManager[object]:
    return torch.autocast("cpu", torch.bfloat16) if bfloat16 else nullcontext()


def events(
    scheduler: Scheduler, shots: Sequence[ShotState], notifier: Notifier
) -> Iterator[FrameResult | ShotFinished]:
    """Step only when each shot is ready, so that batches do not depend on timing."""
    unfinished = set(shots)
    while unfinished:
        notifier.wait_until(partial(_all_ready, unfinished))
        events = scheduler.step()
        unfinished -= {event.shot for event in events if isinstance(event, ShotFinished)}
        yield from events


def _all_ready(shots: Iterable[ShotState]) -> bool:
    return all(
        shot.phase is Phase.WAITING or shot.pass_finished or shot.next_frame() is not None
        for shot in shots
    )
