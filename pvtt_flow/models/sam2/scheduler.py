"""Continuous batching for video: many shots advance together, one frame each in a step.

    waiting shots ─► running shots, at most max_concurrent_shots ─► one step:
                         condition    prompted frames of new shots: encode, decode, memorize
                         track        the next frame of each running shot that has one ready:
                                      encode, attend to each object's memories, decode, memorize
                     ◄─ a finished shot frees its slot at once

Shots of different lengths, ages, directions and numbers of objects run together; objects with
equally many conditioning frames share a memory bank and a batch. Files, threads and Ray are the
caller's: it adds shots, and calls `step` while `has_work`.
"""

import warnings
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from pvtt_flow.errors import DataError
from pvtt_flow.models.sam2.batching import BatchSizer, OutOfMemory, try_to_fit
from pvtt_flow.models.sam2.conditioning import condition
from pvtt_flow.models.sam2.fuller_batches import wait_s
from pvtt_flow.models.sam2.memory_bank import MemoryBank
from pvtt_flow.models.sam2.memory_policies import POLICIES
from pvtt_flow.models.sam2.model import Sam2
from pvtt_flow.models.sam2.object_state import ObjectState
from pvtt_flow.models.sam2.shot_state import Phase, ShotState
from pvtt_flow.models.sam2.tracking import ObjectResult, PendingFrame, TrackStep
from pvtt_flow.models.tracker import MemoryRule

# Larger batches do not fit into a CPU's caches. Images are limited by pixels, objects by attention
# scores.
_CPU_PIXELS, _CPU_SCORES = 1 << 16, 1 << 22
# Estimates, not yet measured on a GPU.
_CUDA_IMAGES, _CUDA_OBJECTS = 32, 64
_CUDA_ENCODE_AT_ONCE = 16


@dataclass(frozen=True, slots=True, eq=False)
class FrameResult:
    """Results of one frame of one shot, on the model's device."""

    shot: ShotState
    frame_index: int
    pts_ns: int
    object_ids: tuple[int, ...]
    """Ascending."""
    logits: Tensor
    """float32 (objects, 4h, 4w); above 0 is the object."""
    object_scores: Tensor
    """float32 (objects,): logits; above 0 means present."""
    predicted_ious: Tensor
    """float32 (objects,); NaN where a mask prompt is the output."""
    confidences: Tensor
    """float32 (objects, 4), as `confidence_of` has them; NaN where a mask prompt is the output."""
    slot_utilization: float
    """Share of the scheduler's slots that this step advanced."""


@dataclass(frozen=True, slots=True, eq=False)
class ShotFinished:
    """End of a shot."""

    shot: ShotState
    error: Exception | None
    """Error that ended it early."""


class Scheduler:
    """Runs shots on one resident model."""

    def __init__(
        self,
        model: Sam2,
        max_concurrent_shots: int,
        *,
        fill_holes_px: int = 0,
        memory_dtype: torch.dtype = torch.float32,
        encode_at_once: int | None = None,
        memory: MemoryRule = "sam2",
    ) -> None:
        """Start without shots. `memory_dtype` is float32, or bfloat16 under autocast.

        `encode_at_once` is the least number of images in a batch, filled up with frames that wait;
        the default depends on the device. `memory` names the policy that chooses which frames are
        remembered.
        """
        self._model = model
        self._num_slots = max_concurrent_shots
        self._num_usable_slots = max_concurrent_shots
        """Lower than `_num_slots` after rows did not fit into memory."""
        self._full: OutOfMemory | None = None
        """Reason why a row did not fit, until a shot leaves."""
        self._waiting: deque[ShotState] = deque()
        self._running: list[ShotState] = []
        self._banks: dict[int, MemoryBank] = {}
        """Memory banks by their number of conditioning frames."""
        self._batch_sizer = BatchSizer(*_batch_sizes(model))
        self._condition = partial(condition, model, fill_holes_px=fill_holes_px)
        if encode_at_once is None:
            encode_at_once = _CUDA_ENCODE_AT_ONCE if model.device.type == "cuda" else 1
        self.policy = POLICIES[memory](model.num_memories - 1, model.max_object_pointers - 1)
        """Chooses which frames are remembered."""
        self._track_step = TrackStep(
            model, self._batch_sizer, fill_holes_px, encode_at_once, self.policy.reads
        )
        self._memory_dtype = memory_dtype

    @property
    def max_concurrent_shots(self) -> int:
        """Current limit; lower than the configured one after memory ran out."""
        return min(
            self._num_usable_slots, max(1, self._num_slots >> self._batch_sizer.num_halvings)
        )

    @property
    def max_objects(self) -> int:
        """Largest batch of objects."""
        return self._batch_sizer.max_objects

    @property
    def running(self) -> Sequence[ShotState]:
        """Shots that occupy a slot."""
        return self._running

    @property
    def has_work(self) -> bool:
        """Return whether a step would do anything."""
        return self._can_admit or self._is_stuck or any(map(self._can_advance, self._running))

    def wait_s(self, began_s: float, now_s: float, max_wait_s: float) -> float:
        """Return for how long the next step should wait for more frames (`fuller_batches.py`)."""
        able = [shot for shot in self._running if not shot.needs_rows]
        expected = [time_s for shot in able if (time_s := shot.expected_s) is not None]
        num_ready = sum(shot.next_frame() is not None for shot in able)
        return wait_s(now_s, began_s, num_ready, expected, max_wait_s)

    @property
    def _can_admit(self) -> bool:
        has_slot = len(self._running) < self.max_concurrent_shots
        return bool(self._waiting) and has_slot and self._full is None

    @property
    def _is_stuck(self) -> bool:
        return self._full is not None and all(shot.needs_rows for shot in self._running)

    def _can_advance(self, shot: ShotState) -> bool:
        if shot.pass_finished:
            return True
        return self._full is None if shot.needs_rows else shot.next_frame() is not None

    def add_shot(self, shot: ShotState) -> None:
        """Queue a shot."""
        self._waiting.append(shot)

    def remove_shot(self, shot: ShotState) -> None:
        """Remove a shot, in any phase; do nothing if it was removed before."""
        shot.finish()
        if shot in self._waiting:
            self._waiting.remove(shot)
        elif shot in self._running:
            self._running.remove(shot)
            for object_state in shot.objects:
                _free_row(object_state)
            self._full = None

    def step(self) -> list[FrameResult | ShotFinished]:
        """Admit waiting shots, and advance each running shot that has a frame ready by one."""
        self._admit()
        ended = self._place_rows()
        pending = [
            PendingFrame(shot, frame)
            for shot in self._running
            if not shot.needs_rows and (frame := shot.next_frame())
        ]
        results = self._batch_sizer.run_images(pending, self._track_step)
        for result in results:
            if result.corrected_memory is not None:
                result.object_state.conditioning_memories.append(result.corrected_memory)
        utilization = len(pending) / self._num_slots
        report = partial(_frame_results, results=results, slot_utilization=utilization)
        frame_results = self._batch_sizer.run_images(pending, report)
        for p in pending:
            p.shot.report_conditioning(p.frame.position)
            p.shot.advance()
        return [*frame_results, *ended, *self._finish_passes()]

    def _admit(self) -> None:
        """Move waiting shots into free slots and process their conditioning frames.

        A shot that goes on from a snapshot has its memories from there.
        """
        admitted: list[ShotState] = []
        while self._can_admit:
            shot = self._waiting.popleft()
            shot.start_conditioning()
            self._running.append(shot)
            admitted.append(shot)
        frames = [(shot, position) for shot in admitted for position in sorted(shot.prompt_images)]
        for output in self._batch_sizer.run_images(frames, self._condition):
            output.object_state.conditioning_outputs[output.position] = output.prediction
            output.object_state.conditioning_memories.append(output.memory)
        for shot in admitted:
            shot.prompt_images.clear()
            for object_state in shot.objects:
                # Of frames that are equally close, the first ones are read.
                object_state.conditioning_memories.sort(key=lambda memory: memory.position)
        self._batch_sizer.run_images([s for s in admitted if s.resumes], self._resume)

    def _resume(self, shots: Sequence[ShotState]) -> list[ShotState]:
        for shot in shots:
            shot.resume(self._model.device)
        return list(shots)

    def _place_rows(self) -> list[ShotFinished]:
        """Give rows to the objects that need one; their shots wait while memory is full.

        Shots that end free memory. If all shots wait, the newest one ends with an error.
        """
        for shot in self._running:
            if shot.needs_rows and self._full is None:
                self._place_rows_of(shot)
        if not self._is_stuck:
            return []
        newest = self._running[-1]
        error = DataError(
            "over_limit",
            f"the memories of {len(newest.objects)} objects must fit the device's memory beside "
            f"those of {len(self._running) - 1} other shots; lower tracker.max_concurrent_shots, "
            f"take a smaller model, or a device with more memory: {self._full}",
        )
        self.remove_shot(newest)
        return [ShotFinished(newest, error)]

    def _place_rows_of(self, shot: ShotState) -> None:
        for object_state in shot.objects:
            if not object_state.needs_row:
                continue
            placed = try_to_fit(partial(self._place_row, object_state))
            if isinstance(placed, OutOfMemory):
                self._drop_empty_banks()
                placed = try_to_fit(partial(self._place_row, object_state))
            if isinstance(placed, OutOfMemory):
                self._wait_for_memory(placed)
                return
        if shot.phase is Phase.CONDITIONING:
            shot.start_first_pass()

    def _place_row(self, object_state: ObjectState) -> None:
        """Move an object into a row with room for its conditioning frames."""
        old, conditioning = object_state.bank, object_state.conditioning_memories
        number = len(conditioning)
        bank = self._banks.get(number)
        if bank is None:
            bank = MemoryBank(self._model, number, self._memory_dtype, self.policy)
            self._banks[number] = bank
        if object_state.saved_row is not None:
            bank.add_saved(object_state, conditioning, object_state.saved_row)
            object_state.saved_row = None
        elif old is None:
            bank.add(object_state, conditioning, object_state.forward_memories)
            object_state.forward_memories.clear()
        else:
            bank.add_saved(object_state, conditioning, old.save(object_state))
        _free_row(object_state)
        object_state.bank = bank

    def _drop_empty_banks(self) -> None:
        self._banks = {number: bank for number, bank in self._banks.items() if len(bank)}

    def _wait_for_memory(self, reason: OutOfMemory) -> None:
        self._full = reason
        self._num_usable_slots = max(1, sum(not shot.needs_rows for shot in self._running))
        warnings.warn(
            f"the device's memory ran out: continuing with {self.max_concurrent_shots} concurrent "
            "shots",
            RuntimeWarning,
            stacklevel=2,
        )

    def _finish_passes(self) -> list[ShotFinished]:
        """Start the backward pass of shots whose forward pass has ended, or remove them."""
        finished: list[ShotFinished] = []
        for shot in [shot for shot in self._running if shot.pass_finished]:
            if not shot.has_backward_pass:
                self.remove_shot(shot)
                finished.append(ShotFinished(shot, shot.error))
                continue
            for object_state in shot.objects:
                _free_row(object_state)
            shot.start_backward_pass()
        return finished


def _free_row(object_state: ObjectState) -> None:
    if object_state.bank is not None:
        object_state.bank.remove(object_state)
        object_state.bank = None


def _frame_results(
    pending: Sequence[PendingFrame], results: Sequence[ObjectResult], slot_utilization: float
) -> list[FrameResult]:
    return [_frame_result(each, results, slot_utilization) for each in pending]


def _frame_result(
    pending: PendingFrame, results: Sequence[ObjectResult], slot_utilization: float
) -> FrameResult:
    """Collect the tracked and the conditioned objects of one frame, by ascending id."""
    predictions = {r.object_state.object_id: r.prediction for r in results if r.pending is pending}
    position = pending.frame.position
    for object_state in pending.shot.conditioned_objects(position):
        predictions[object_state.object_id] = object_state.conditioning_outputs[position]
    object_ids = tuple(sorted(predictions))
    ordered = [predictions[i] for i in object_ids]
    return FrameResult(
        shot=pending.shot,
        frame_index=pending.frame.frame_index,
        pts_ns=pending.frame.pts_ns,
        object_ids=object_ids,
        logits=_concatenate([p.logits for p in ordered]),
        object_scores=_concatenate([p.object_score for p in ordered]),
        predicted_ious=_concatenate([p.predicted_iou for p in ordered]),
        confidences=_concatenate([p.confidence for p in ordered]),
        slot_utilization=slot_utilization,
    )


def _concatenate(tensors: Sequence[Tensor]) -> Tensor:
    return torch.cat(list(tensors)) if tensors else torch.empty(0)


def _batch_sizes(model: Sam2) -> tuple[int, int]:
    """Return the largest batches of images and of objects to start with."""
    if model.device.type == "cuda":
        return _CUDA_IMAGES, _CUDA_OBJECTS
    tokens = model.grid_side**2
    scores = tokens * tokens * model.num_memories
    return max(1, _CPU_PIXELS // model.size_px**2), max(1, _CPU_SCORES // scores)
