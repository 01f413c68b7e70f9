"""Continuous batching for video: many shots advance together, one frame each a step.

    waiting shots ─► L lanes ─► one step:
                                 look      prompted frames of new lanes: encode, decode, memorise
                                 follow    the next frame of every lane that has one ready: encode,
                                           attend to each object's past, decode, memorise
                     ◄─ a lane that ends makes room at once

Lanes of different lengths, ages, directions and numbers of objects run together; objects with
equally many prompted frames share a bank and a batch. Nothing here knows about files, threads or
Ray: `add` lanes, and call `step` while `ready`.
"""

import warnings
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from pvtt_flow.models.sam2.batching import Budget
from pvtt_flow.models.sam2.conditioning import look
from pvtt_flow.models.sam2.memory_bank import Bank, Memory
from pvtt_flow.models.sam2.model import Sam2
from pvtt_flow.models.sam2.shot_state import Followed, Lane
from pvtt_flow.models.sam2.tracking import Due, Follower, Found

# On a CPU larger batches fall out of its caches: images by pixels, objects by attention scores.
_CPU_PIXELS, _CPU_SCORES = 1 << 16, 1 << 22
# Guesses: not yet measured on a GPU.
_CUDA_IMAGES, _CUDA_OBJECTS = 32, 64


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """One frame of one lane, done. Tensors are on the device."""

    lane: Lane
    frame_index: int
    pts_ns: int
    object_ids: tuple[int, ...]
    logits: Tensor
    """float32 (objects, 4h, 4w); above 0 is the object."""
    scores: Tensor
    """float32 (objects,), object score logits."""
    ious: Tensor
    """float32 (objects,), predicted; NaN where the mask was given."""
    slot_utilization: float
    """The share of the engine's lanes that this step advanced."""


@dataclass(frozen=True, slots=True, eq=False)
class Ended:
    """A lane is done; `error` says why reading broke off, if it did."""

    lane: Lane
    error: Exception | None


class Engine:
    """L lanes over one resident model."""

    def __init__(
        self,
        model: Sam2,
        num_lanes: int,
        *,
        fill_holes_px: int = 0,
        memory_dtype: torch.dtype = torch.float32,
    ) -> None:
        """`memory_dtype` holds the memories: float32, or bfloat16 under autocast."""
        self._model = model
        self._num_lanes = self._max_lanes = num_lanes
        self._lanes: list[Lane] = []
        self._waiting: deque[Lane] = deque()
        self._banks: dict[int, Bank] = {}
        self._budget = Budget(*_batch_sizes(model))
        self._look = partial(look, model, fill_holes_px=fill_holes_px)
        self._follow = Follower(model, self._budget, fill_holes_px)
        self._memory_dtype = memory_dtype

    @property
    def num_lanes(self) -> int:
        """How many shots advance together; lower than asked for once memory has run out."""
        return min(self._max_lanes, max(1, self._num_lanes >> self._budget.times_shrunk))

    @property
    def lanes(self) -> Sequence[Lane]:
        """The shots that are being tracked."""
        return self._lanes

    @property
    def ready(self) -> bool:
        """Whether a step would do anything."""
        return self._can_admit or any(
            lane.pass_ended or lane.picture() is not None for lane in self._lanes
        )

    @property
    def _can_admit(self) -> bool:
        return bool(self._waiting) and len(self._lanes) < self.num_lanes

    def add(self, lane: Lane) -> None:
        """Queues a shot."""
        self._waiting.append(lane)

    def drop(self, lane: Lane) -> None:
        """Forgets a shot, done or not."""
        lane.close()
        if lane in self._waiting:
            self._waiting.remove(lane)
        elif lane in self._lanes:
            self._lanes.remove(lane)
            for followed in lane.objects:
                _unseat(followed)

    def step(self) -> list[Seen | Ended]:
        """Advances every lane that has a frame ready by that frame."""
        self._admit()
        due = [Due(lane, picture) for lane in self._lanes if (picture := lane.picture())]
        found = self._budget.of_images(due, self._follow)
        for corrected in found:
            self._reseat(corrected)
        busy = len(due) / self._num_lanes
        done: list[Seen | Ended] = [_seen(d, found, busy) for d in due]
        for d in due:
            d.lane.take()
        return done + self._end()

    def _admit(self) -> None:
        new: list[Lane] = []
        while self._can_admit:
            new.append(self._waiting.popleft())
            self._lanes.append(new[-1])
            new[-1].open()
        frames = [(lane, position) for lane in new for position in sorted(lane.pictures)]
        for first in self._budget.of_images(frames, self._look):
            first.followed.sights[first.position] = first.sight
            first.followed.prompted.append(first.memory)
        for lane in new:
            lane.pictures.clear()
            self._seat_all(lane)

    def _seat_all(self, lane: Lane) -> None:
        """Rows for a new lane; it waits for others to end when there is no memory for them."""
        try:
            for followed in lane.objects:
                self._seat(followed)
        except torch.OutOfMemoryError:
            for followed in lane.objects:
                _unseat(followed)
            self._lanes.remove(lane)
            if not self._lanes:
                raise
            self._waiting.appendleft(lane)
            self._max_lanes = len(self._lanes)
            warnings.warn(
                f"the device's memory ran out: going on with {self.num_lanes} lanes",
                RuntimeWarning,
                stacklevel=2,
            )

    def _end(self) -> list[Ended]:
        """Turns or closes the lanes whose pass has ended."""
        ended: list[Ended] = []
        for lane in [lane for lane in self._lanes if lane.pass_ended]:
            before = lane.objects
            if lane.turn():
                for followed in before:
                    _unseat(followed)
                for followed in lane.objects:
                    self._seat(followed, sorted(followed.early, key=lambda m: -m.frame))
                    followed.early.clear()
            else:
                self.drop(lane)
                ended.append(Ended(lane, lane.error))
        return ended

    def _seat(self, followed: Followed, recent: Sequence[Memory] = ()) -> None:
        """Gives an object its row, with what it remembers, oldest first."""
        num_prompted = len(followed.prompted)
        if num_prompted not in self._banks:
            self._banks[num_prompted] = Bank(self._model, num_prompted, self._memory_dtype)
        bank = self._banks[num_prompted]
        bank.add(followed, followed.prompted)
        followed.bank = bank
        for memory in recent:
            bank.write([followed], [memory.frame], memory.features[None], memory.pointer[None])

    def _reseat(self, found: Found) -> None:
        """Moves a corrected object to where one more prompted frame fits."""
        if found.corrected is None or found.followed.bank is None:
            return
        recent = found.followed.bank.recent(found.followed)
        _unseat(found.followed)
        found.followed.prompted.append(found.corrected)
        self._seat(found.followed, recent)


def _unseat(followed: Followed) -> None:
    if followed.bank is not None:
        followed.bank.remove(followed)
        followed.bank = None


def _seen(due: Due, found: Sequence[Found], busy: float) -> Seen:
    """All objects of one frame, whether tracked or prompted there, by their ids."""
    sights = {f.followed.object_id: f.sight for f in found if f.due is due}
    position = due.picture.position
    for followed in due.lane.prompted(position):
        sights[followed.object_id] = followed.sights.pop(position)
    object_ids = tuple(sorted(sights))
    own = [sights[i] for i in object_ids]
    return Seen(
        lane=due.lane,
        frame_index=due.picture.frame_index,
        pts_ns=due.picture.pts_ns,
        object_ids=object_ids,
        logits=_joined([s.logits for s in own]),
        scores=_joined([s.score for s in own]),
        ious=_joined([s.iou for s in own]),
        slot_utilization=busy,
    )


def _joined(tensors: Sequence[Tensor]) -> Tensor:
    return torch.cat(list(tensors)) if tensors else torch.empty(0)


def _batch_sizes(model: Sam2) -> tuple[int, int]:
    """Images and objects that one batch may hold."""
    if model.device.type == "cuda":
        return _CUDA_IMAGES, _CUDA_OBJECTS
    tokens = model.grid**2
    scores = tokens * tokens * model.num_memories
    return max(1, _CPU_PIXELS // model.size_px**2), max(1, _CPU_SCORES // scores)
