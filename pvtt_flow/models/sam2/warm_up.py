"""Warm-up: compile the model, and capture its CUDA graphs, before the first frame."""

import logging
import threading
from collections.abc import Iterable

import torch

from pvtt_flow.models.sam2.blank_shot import blank_shot
from pvtt_flow.models.sam2.model import Sam2
from pvtt_flow.models.sam2.scheduler import Scheduler, ShotFinished
from pvtt_flow.models.sam2.shot_state import Phase, ShotState
from pvtt_flow.models.tracker import MemoryRule, TrackerParams

_LOG = logging.getLogger("pvtt_flow")
# A graph is captured at its second call; the third one replays it.
_NUM_FRAMES = 4


def warm_up(
    model: Sam2,
    max_concurrent_shots: int,
    memory_dtype: torch.dtype,
    memory: MemoryRule = "sam2",
) -> None:
    """Track blank shots in batches of each size that is prepared, and seal the compiler.

    Runs on the thread, and in the autocast, of the later steps. Does nothing for a model that is
    not compiled.
    """
    if model.compiler is None:
        return
    largest = max(max_concurrent_shots, Scheduler(model, 1).max_objects)
    sizes = model.compiler.sizes(largest)
    for number, size in enumerate(sizes, 1):
        _LOG.info("preparing the tracker: batches of %d (%d of %d)", size, number, len(sizes))
        num_shots = min(size, max_concurrent_shots)
        parts = [size // num_shots + (shot < size % num_shots) for shot in range(num_shots)]
        scheduler = Scheduler(model, num_shots, memory_dtype=memory_dtype, memory=memory)
        _track(model, parts, scheduler)
    model.compiler.seal()


def _track(model: Sam2, nums_objects: list[int], scheduler: Scheduler) -> None:
    """Track shots with these numbers of objects together."""
    changed = threading.Event()
    params = TrackerParams(direction="forward")
    unfinished = {
        ShotState(
            blank_shot(_NUM_FRAMES, num_objects),
            params,
            model.input,
            changed.set,
        )
        for num_objects in nums_objects
    }
    for shot in unfinished:
        scheduler.add_shot(shot)
    while unfinished:
        changed.clear()
        if not _are_ready(unfinished):
            changed.wait()
            continue
        for event in scheduler.step():
            if isinstance(event, ShotFinished):
                unfinished.remove(event.shot)
                if event.error is not None:
                    raise event.error


def _are_ready(shots: Iterable[ShotState]) -> bool:
    """Return whether all shots take part in the next step, so that it has the whole batch."""
    return all(
        shot.phase is Phase.WAITING or shot.pass_finished or shot.next_frame() is not None
        for shot in shots
    )
