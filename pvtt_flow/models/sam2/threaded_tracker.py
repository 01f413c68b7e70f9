"""The engine behind the `Tracker` protocol: one thread steps it, any number of threads use it."""

import math
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch

from pvtt_flow.models.detector import device_name
from pvtt_flow.models.sam2.mask_output import Masks
from pvtt_flow.models.sam2.model import Sam2
from pvtt_flow.models.sam2.official import build_predictor
from pvtt_flow.models.sam2.scheduler import Ended, Engine, Seen
from pvtt_flow.models.sam2.shot_state import Lane
from pvtt_flow.models.tracker import PromptedShot, TrackedFrame, TrackedObject, TrackerParams

# Frames of a lane that may wait for whoever encodes their masks; then it stands still.
_MAX_RESULTS = 32


@dataclass(frozen=True, slots=True, eq=False)
class _Result:
    """A frame whose masks have not been read yet."""

    seen: Seen
    masks: Masks

    def read(self) -> TrackedFrame:
        scores, ious = self.seen.scores.tolist(), self.seen.ious.tolist()
        objects = zip(self.seen.object_ids, self.masks.read(), scores, ious, strict=True)
        return TrackedFrame(
            frame_index=self.seen.frame_index,
            pts_ns=self.seen.pts_ns,
            objects=tuple(
                TrackedObject(object_id, mask, score, None if math.isnan(iou) else iou)
                for object_id, mask, score, iou in objects
            ),
            slot_utilization=self.seen.slot_utilization,
        )


class ThreadedTracker:
    """A resident SAM 2 that tracks many shots at once."""

    def __init__(self, weights: Path | None, config: Path, params: TrackerParams) -> None:
        """Without weights the model is random, for tests and measurements."""
        device = torch.device(device_name(params.device))
        self._params = params
        self._bfloat16 = params.precision == "bfloat16" or (
            params.precision == "auto" and device.type == "cuda"
        )
        compile_steps = params.compile_steps
        if compile_steps is None:
            compile_steps = device.type == "cuda"
        self._model = Sam2(build_predictor(weights, config, device), compile_steps=compile_steps)
        self._engine = Engine(
            self._model,
            params.max_concurrent_shots,
            fill_holes_px=params.fill_holes_px,
            memory_dtype=torch.bfloat16 if self._bfloat16 else torch.float32,
        )
        self._requests: deque[Callable[[], None]] = deque()
        self._results: dict[Lane, queue.SimpleQueue[_Result | Ended]] = {}
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False

    def close(self) -> None:
        """Ends the engine's thread; whoever still tracks gets an error."""
        self._ask(self._close)

    def track(self, clip: PromptedShot) -> Iterator[TrackedFrame]:
        """See `Tracker.track`."""
        if self._closed:
            raise _closed_error()
        results: queue.SimpleQueue[_Result | Ended] = queue.SimpleQueue()
        lane = Lane(
            clip,
            self._params,
            self._model.size_px,
            wake=self._wake,
            full=lambda: results.qsize() >= _MAX_RESULTS,
        )
        del clip
        self._ask(lambda: self._add(lane, results))
        try:
            while not isinstance(result := results.get(), Ended):
                self._wake()
                yield result.read()
            if result.error is not None:
                raise result.error
        finally:
            self._ask(lambda: self._drop(lane))

    def _close(self) -> None:
        self._closed = True
        for lane in list(self._results):
            self._engine.drop(lane)
            self._deliver(Ended(lane, _closed_error()))

    def _add(self, lane: Lane, results: "queue.SimpleQueue[_Result | Ended]") -> None:
        if self._closed:
            results.put(Ended(lane, _closed_error()))
            return
        self._results[lane] = results
        self._engine.add(lane)

    def _drop(self, lane: Lane) -> None:
        self._results.pop(lane, None)
        self._engine.drop(lane)

    def _ask(self, request: Callable[[], None]) -> None:
        """Has the engine's thread do something; it alone touches the engine."""
        with self._changed:
            self._requests.append(request)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
                self._thread.start()
            self._changed.notify()

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify()

    def _run(self) -> None:
        with torch.inference_mode(), self._autocast():
            while not self._closed:
                with self._changed:
                    self._changed.wait_for(lambda: self._requests or self._engine.ready)
                self._serve()
                for event in self._step():
                    self._deliver(event)
        self._serve()

    def _serve(self) -> None:
        while self._requests:
            self._requests.popleft()()

    def _step(self) -> Sequence[Seen | Ended]:
        try:
            return self._engine.step()
        except Exception as error:  # noqa: BLE001 (each shot's own thread raises it)
            # Nobody knows how far it came: the shots in flight end, those that wait go on.
            ended = [Ended(lane, error) for lane in self._engine.lanes]
            for event in ended:
                self._engine.drop(event.lane)
            return ended

    def _deliver(self, event: Seen | Ended) -> None:
        results = self._results.get(event.lane)
        if results is None:
            return
        if isinstance(event, Ended):
            results.put(event)
            return
        try:
            results.put(_Result(event, Masks(event.logits, event.lane.display_px)))
        except Exception as error:  # noqa: BLE001 (one shot's masks must not end the others)
            self._engine.drop(event.lane)
            results.put(Ended(event.lane, error))

    def _autocast(self) -> AbstractContextManager[object]:
        if self._bfloat16:
            return torch.autocast(self._model.device.type, torch.bfloat16)
        return nullcontext()


def _closed_error() -> RuntimeError:
    return RuntimeError("the tracker has been closed")
