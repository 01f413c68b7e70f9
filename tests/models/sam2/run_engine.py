"""The engine without threads: one step after another until every shot is done."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Literal

import torch

from pvtt_flow.models.sam2.model import Sam2
from pvtt_flow.models.sam2.scheduler import Ended, Engine, Seen
from pvtt_flow.models.sam2.shot_state import Lane
from pvtt_flow.models.tracker import TrackerParams
from tests.models.sam2.shots import Shot
from tests.models.sam2.wait_until import News

Direction = Literal["forward", "backward", "both"]


def run(
    model: Sam2,
    shots: Sequence[Shot],
    direction: Direction,
    *,
    engine: Engine | None = None,
    bfloat16: bool = False,
) -> list[list[Seen]]:
    """What is seen of each shot, in order."""
    dtype = torch.bfloat16 if bfloat16 else torch.float32
    engine = engine or Engine(model, num_lanes=4, memory_dtype=dtype)
    news = News()
    params = TrackerParams(direction=direction)
    lanes = [Lane(shot.clip, params, model.size_px, news) for shot in shots]
    for lane in lanes:
        engine.add(lane)
    seen: dict[Lane, list[Seen]] = {lane: [] for lane in lanes}
    with torch.inference_mode(), autocast(bfloat16=bfloat16):
        for event in _events(engine, lanes, news):
            if isinstance(event, Seen):
                seen[event.lane].append(event)
            elif event.error is not None:
                raise event.error
    return list(seen.values())


def autocast(*, bfloat16: bool) -> AbstractContextManager[object]:
    return torch.autocast("cpu", torch.bfloat16) if bfloat16 else nullcontext()


def _events(engine: Engine, lanes: Sequence[Lane], news: News) -> Iterator[Seen | Ended]:
    """Every lane is ready for each step, so that batches do not depend on timing."""
    left = set(lanes)
    while left:
        news.until(partial(_all_settled, left))
        events = engine.step()
        left -= {event.lane for event in events if isinstance(event, Ended)}
        yield from events


def _all_settled(lanes: Iterable[Lane]) -> bool:
    return all(_settled(lane) for lane in lanes)


def _settled(lane: Lane) -> bool:
    """Whether waiting for its reader would change nothing."""
    try:
        return lane.pass_ended or lane.picture() is not None
    except RuntimeError:  # Not opened: it waits for room.
        return True
