"""Two systems on the same clips, in turn: how fast each is, and whether they see the same."""

import gc
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from statistics import median

import numpy as np
from numpy.typing import NDArray

from tests.bench.clips import MAX_OBJECTS, Clip, Filmed
from tests.bench.pace import Pace
from tests.bench.systems import Mask, System, ignore

OBJECTS = (1, MAX_OBJECTS)
"""Numbers of prompted objects in a clip."""
Masks = dict[tuple[int, int, int], NDArray[np.uint8]]
"""Masks packed to bits, by clip, frame and object."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Size of a measurement."""

    num_clips: int
    num_frames: int
    """Number of frames of each clip."""
    num_rounds: int
    num_checked: int
    """Clips whose masks are compared, in a pass that is not timed and warms everything up."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Repeated measurements of one number."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Return the spread of at least one value."""
        return cls(median(values), min(values), max(values))


@dataclass(frozen=True, slots=True)
class Agreement:
    """IoU of the two systems' masks, over every object on every frame of the checked clips."""

    iou_median: float
    iou_p1: float
    num_masks: int
    share_empty: float
    """Masks that both leave empty; they count as IoU 1."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """The engine against another system, with one model."""

    model: str
    other: str
    plan: Plan
    agreements: dict[int, Agreement]
    """By the number of objects a clip."""
    seconds: dict[str, dict[int, list[float]]] = field(default_factory=dict)
    """Seconds of each round's pass over all clips, by system and number of objects."""
    num_disturbed: int = 0
    """Passes of `seconds` during which the machine was slow."""

    def ratio(self, num_objects: int) -> Spread:
        """The engine's speed over the other's: each round's, so that slow minutes cancel."""
        other, engine = self.seconds[self.other][num_objects], self.seconds["engine"][num_objects]
        return Spread.of([a / b for a, b in zip(other, engine, strict=True)])

    def cost_of_more_objects(self, system: str) -> Spread:
        """Seconds a frame with the most objects over those with one."""
        own = self.seconds[system]
        return Spread.of([a / b for a, b in zip(own[OBJECTS[-1]], own[1], strict=True)])

    def frame_ms(self, system: str, num_objects: int) -> float:
        """Milliseconds a frame of a clip, with all its objects; median over the rounds."""
        num_frames = self.plan.num_clips * self.plan.num_frames
        return median(self.seconds[system][num_objects]) / num_frames * 1e3

    def object_frames_per_s(self, system: str, num_objects: int) -> float:
        """Objects times frames in a second; median over the rounds."""
        return num_objects / self.frame_ms(system, num_objects) * 1e3


def compare(
    model: str, other: System, engine: System, clips: Sequence[Filmed], plan: Plan
) -> Comparison:
    """Checks, then measures in rounds."""
    systems = other, engine
    agreements = {
        num_objects: agreement_of(
            *(
                masks_of(system, [c.prompting(num_objects) for c in clips[: plan.num_checked]])
                for system in systems
            )
        )
        for num_objects in OBJECTS
    }
    seconds: dict[str, dict[int, list[float]]] = {s.name: {n: [] for n in OBJECTS} for s in systems}
    pace = Pace()
    for nth in range(plan.num_rounds):
        for system, num_objects in in_turn(systems, nth):
            asked = [clip.prompting(num_objects) for clip in clips]
            took_s = pace.steadily(partial(timed, system, asked))
            seconds[system.name][num_objects].append(took_s)
    return Comparison(model, other.name, plan, agreements, seconds, pace.num_disturbed)


def in_turn(systems: Sequence[System], nth: int) -> Iterator[tuple[System, int]]:
    """The passes of a round; who goes first changes with every pass and every round."""
    for index, num_objects in enumerate(OBJECTS):
        order = systems if (nth + index) % 2 == 0 else systems[::-1]
        for system in order:
            yield system, num_objects


def overlap(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    """IoU of two masks packed to bits; 1 where both are empty."""
    either = int(np.bitwise_count(first | second).sum())
    return int(np.bitwise_count(first & second).sum()) / either if either else 1.0


def timed(system: System, clips: Sequence[Filmed]) -> float:
    gc.collect()
    started = time.perf_counter()
    system.track(clips, ignore)
    return time.perf_counter() - started


def agreement_of(first: Masks, second: Masks) -> Agreement:
    """Compare the masks of two systems. Raises RuntimeError if they saw other objects."""
    if first.keys() != second.keys():
        raise RuntimeError(
            f"two systems must see the same objects, got {len(first)} and {len(second)} masks, "
            f"of which {len(first.keys() ^ second.keys())} have no partner"
        )
    ious = [overlap(first[key], second[key]) for key in first]
    empty = [not first[key].any() and not second[key].any() for key in first]
    return Agreement(
        iou_median=float(np.median(ious)),
        iou_p1=float(np.percentile(ious, 1)),
        num_masks=len(ious),
        share_empty=float(np.mean(empty)),
    )


def masks_of(system: System, clips: Sequence[Clip]) -> Masks:
    """Track the clips and return every mask."""
    found: Masks = {}

    def see(clip: int, frame: int, masks: Sequence[Mask]) -> None:
        found.update({(clip, frame, i): np.packbits(mask) for i, mask in enumerate(masks)})

    system.track(clips, see)
    return found
