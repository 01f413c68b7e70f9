"""`Tracker` protocol on top of the scheduler: one thread steps it, any number of threads track."""

import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from pvtt_flow.errors import MachineError
from pvtt_flow.models.detector import device_name
from pvtt_flow.models.device_errors import is_device_error
from pvtt_flow.models.sam2.attention_kernels import kernel_named
from pvtt_flow.models.sam2.batching import OutOfMemory, try_to_fit
from pvtt_flow.models.sam2.compile import Compiler
from pvtt_flow.models.sam2.frame_uploads import input_on_device
from pvtt_flow.models.sam2.kernel_choice import choose_kernels
from pvtt_flow.models.sam2.mask_confidence import number_or_none, to_confidence
from pvtt_flow.models.sam2.mask_output import PendingMasks
from pvtt_flow.models.sam2.memory_policies import POLICIES
from pvtt_flow.models.sam2.model import Sam2
from pvtt_flow.models.sam2.observation import Reads
from pvtt_flow.models.sam2.official import build_predictor, find_architecture
from pvtt_flow.models.sam2.scheduler import FrameResult, Scheduler, ShotFinished
from pvtt_flow.models.sam2.shot_snapshot import SnapshotFormat
from pvtt_flow.models.sam2.shot_state import Phase, ShotState
from pvtt_flow.models.sam2.tuning import AS_SHIPPED, Tuning
from pvtt_flow.models.sam2.warm_up import warm_up
from pvtt_flow.models.tracker import (
    PromptedShot,
    SavedState,
    TrackedFrame,
    TrackedObject,
    TrackerParams,
)

_LOG = logging.getLogger("pvtt_flow")
# Results of a shot that may wait for their consumer; then the shot is backpressured.
_MAX_PENDING_RESULTS = 32
# As long as the fixed part of a step is estimated to be; not yet measured on a GPU.
_CUDA_MAX_WAIT_S = 0.003


@dataclass(frozen=True, slots=True, eq=False)
class _PendingResult:
    """Frame whose masks have not been read yet."""

    result: FrameResult
    masks: PendingMasks
    state: Callable[[], SavedState] | None

    def read(self) -> TrackedFrame:
        """Wait for the masks; called by the consumer's thread."""
        result = self.result
        numbers, masks = self.masks.read()
        objects = zip(result.object_ids, masks, *numbers, strict=True)
        return TrackedFrame(
            frame_index=result.frame_index,
            pts_ns=result.pts_ns,
            objects=tuple(
                TrackedObject(object_id, mask, score, number_or_none(iou), to_confidence(row))
                for object_id, mask, score, iou, row in objects
            ),
            slot_utilization=result.slot_utilization,
            state=self.state,
        )


_Results = queue.SimpleQueue[_PendingResult | ShotFinished]


class ThreadedTracker:
    """Resident SAM 2 that tracks many shots at once."""

    def __init__(
        self,
        weights: Path | None,
        config: Path,
        params: TrackerParams,
        tuning: Tuning = AS_SHIPPED,
    ) -> None:
        """Load the model; without weights it is random, for tests and measurements."""
        device = torch.device(device_name(params.device))
        self._params = params
        self._uses_bfloat16 = params.precision == "bfloat16" or (
            params.precision == "auto" and device.type == "cuda"
        )
        self._memory_dtype = torch.bfloat16 if self._uses_bfloat16 else torch.float32
        compiler = Compiler(device) if _on_cuda(params.compile_steps, device) else None
        self._model = Sam2(
            build_predictor(weights, config, device),
            compiler,
            architecture=find_architecture(config),
            keep_alternatives=POLICIES[params.memory].reads is Reads.ALTERNATIVES,
        )
        self._input = input_on_device(
            self._model.input,
            device,
            resizes=_on_cuda(params.resize_on_device, device),
            uploads=_on_cuda(tuning.uploads_ahead, device),
        )
        self._scheduler = Scheduler(
            self._model,
            params.max_concurrent_shots,
            fill_holes_px=params.fill_holes_px,
            memory_dtype=self._memory_dtype,
            memory=params.memory,
        )
        self.attention = self._choose_attention(tuning.attention)
        """Kernel for the attention to memories, where it was chosen, and the times of others."""
        self._format = SnapshotFormat(
            self._model,
            self._scheduler.policy,
            engine=f"{device.type}, {self._memory_dtype}, memory {params.memory}, "
            f"torch {torch.__version__}, {'compiled' if compiler else 'not compiled'}"
            f"{self._model.kernels.described}",
        )
        self._max_wait_s = tuning.max_wait_s
        if self._max_wait_s is None:
            self._max_wait_s = _CUDA_MAX_WAIT_S if device.type == "cuda" else 0.0
        self._wants_state: dict[ShotState, Callable[[], bool]] = {}
        self._commands: deque[Callable[[], None]] = deque()
        self._results: dict[ShotState, _Results] = {}
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed: Exception | None = None
        """Error of all shots once the tracker is closed or its device is broken."""

    def _choose_attention(self, name: str | None) -> str | None:
        """Choose the kernel: before anything is compiled, and before a snapshot is read."""
        if name is None and self._model.device.type != "cuda":
            return None
        if name not in (None, "measured"):
            kernel = kernel_named(name)
            self._model.kernels.use(kernel, kernel)
            return kernel.name
        num_objects = min(self._params.max_concurrent_shots, self._scheduler.max_objects)
        dtype = torch.bfloat16 if self._uses_bfloat16 else torch.float32
        with torch.inference_mode():
            choices = choose_kernels(self._model, num_objects, dtype)
        described = "; where nothing is missing: ".join(map(str, choices))
        _LOG.info("attention to memories, %d objects: %s", num_objects, described)
        return described

    def close(self) -> None:
        """End the scheduler's thread; shots in progress raise RuntimeError."""
        self._submit(lambda: self._close(RuntimeError("the tracker has been closed")))

    def track(self, shot: PromptedShot) -> Iterator[TrackedFrame]:
        """See `Tracker.track`. Raises MachineError once the device is broken."""
        if self._closed is not None:
            raise self._closed
        results: _Results = queue.SimpleQueue()
        shot_state = ShotState(
            shot,
            self._params,
            self._input,
            notify=self._notify,
            is_backpressured=lambda: results.qsize() >= _MAX_PENDING_RESULTS,
            snapshot=None if shot.saved is None else self._format.load(shot.saved),
        )
        if shot.wants_state is not None:
            self._wants_state[shot_state] = shot.wants_state
        # The shot holds its prompted frames, which are large.
        del shot
        self._submit(lambda: self._add(shot_state, results))
        try:
            while not isinstance(result := results.get(), ShotFinished):
                self._notify()
                yield result.read()
            if result.error is not None:
                raise result.error
        finally:
            self._submit(lambda: self._remove(shot_state))

    def _close(self, error: Exception) -> None:
        """End all shots with the error, without the scheduler: its device may be broken."""
        self._closed = error
        for shot in list(self._results):
            shot.finish()
            self._deliver(ShotFinished(shot, error))

    def _add(self, shot: ShotState, results: _Results) -> None:
        if self._closed is not None:
            results.put(ShotFinished(shot, self._closed))
            return
        self._results[shot] = results
        self._scheduler.add_shot(shot)

    def _remove(self, shot: ShotState) -> None:
        self._results.pop(shot, None)
        self._wants_state.pop(shot, None)
        if self._closed is None:
            self._scheduler.remove_shot(shot)

    def _submit(self, command: Callable[[], None]) -> None:
        """Run a command on the scheduler's thread, which alone touches the scheduler."""
        with self._changed:
            self._commands.append(command)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="scheduler", daemon=True)
                self._thread.start()
            self._changed.notify()

    def _notify(self) -> None:
        with self._changed:
            self._changed.notify()

    def _run(self) -> None:
        with torch.inference_mode(), self._autocast():
            self._warm_up()
            while self._closed is None:
                with self._changed:
                    self._changed.wait_for(lambda: self._commands or self._scheduler.has_work)
                    self._wait_for_more()
                self._run_commands()
                for event in self._step():
                    self._deliver(event)
        self._end_thread()

    def _wait_for_more(self) -> None:
        """Wait for frames that are about to be decoded, so that the step has them."""
        if not self._max_wait_s:
            return
        began_s = time.monotonic()
        while not self._commands:
            left_s = self._scheduler.wait_s(began_s, time.monotonic(), self._max_wait_s)
            if not left_s:
                return
            self._changed.wait(left_s)

    def _warm_up(self) -> None:
        try:
            params = self._params
            warm_up(self._model, params.max_concurrent_shots, self._memory_dtype, params.memory)
        except Exception as error:  # noqa: BLE001 (the thread of each shot raises it)
            is_broken = is_device_error(error)
            self._close(_broken_device(self._model.device, error) if is_broken else error)

    def _end_thread(self) -> None:
        """Run what threads have submitted since; a later command starts a thread of its own."""
        while True:
            self._run_commands()
            with self._changed:
                if not self._commands:
                    self._thread = None
                    return

    def _run_commands(self) -> None:
        while self._commands:
            self._commands.popleft()()

    def _step(self) -> Sequence[FrameResult | ShotFinished]:
        try:
            return self._scheduler.step()
        except Exception as error:  # noqa: BLE001 (the thread of each shot raises it)
            if is_device_error(error):
                self._close(_broken_device(self._model.device, error))
                return ()
            # The step may be half done: running shots end with the error, waiting ones continue.
            finished = [ShotFinished(shot, error) for shot in self._scheduler.running]
            for event in finished:
                self._scheduler.remove_shot(event.shot)
            return finished

    def _deliver(self, event: FrameResult | ShotFinished) -> None:
        results = self._results.get(event.shot)
        if results is None:
            return
        if isinstance(event, ShotFinished):
            results.put(event)
            return
        try:
            numbers = event.object_scores, event.predicted_ious, event.confidences
            make = partial(PendingMasks, event.logits, numbers, event.shot.display_px)
            masks = try_to_fit(make)
            # The first try has given back what no tensor uses.
            masks = make() if isinstance(masks, OutOfMemory) else masks
            results.put(_PendingResult(event, masks, self._state_after(event.shot)))
        except Exception as error:  # noqa: BLE001 (an error of one shot must not end the others)
            self._scheduler.remove_shot(event.shot)
            results.put(ShotFinished(event.shot, error))

    def _state_after(self, shot: ShotState) -> Callable[[], SavedState] | None:
        """Return how to read the shot's state, if it is wanted; None if it has no room."""
        wants_state = self._wants_state.get(shot)
        if wants_state is None or shot.phase is Phase.DONE or not wants_state():
            return None
        snapshot = try_to_fit(shot.snapshot)
        # The consumer's thread copies it from the device: the other shots do not wait for that.
        return None if isinstance(snapshot, OutOfMemory) else partial(self._format.dump, snapshot)

    def _autocast(self) -> AbstractContextManager[object]:
        if self._uses_bfloat16:
            return torch.autocast(self._model.device.type, torch.bfloat16)
        return nullcontext()


def _on_cuda(choice: bool | None, device: torch.device) -> bool:  # noqa: FBT001 (a setting)
    """Return the choice; without one, whether the device is a GPU."""
    return device.type == "cuda" if choice is None else choice


def _broken_device(device: torch.device, error: Exception) -> MachineError:
    broken = MachineError(f"the device {device} must work, but it failed: {error}")
    broken.__cause__ = error
    return broken
