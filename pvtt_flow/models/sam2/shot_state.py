"""State machine of a shot and its objects.

    WAITING ──► CONDITIONING ──► FORWARD ──► BACKWARD ──► DONE
                                    │                      ▲
                                    └──────────────────────┘
                                no object has a backward pass

    phase          frames that are processed         objects
    WAITING        none: the shot is queued
    CONDITIONING   prompted frames, in one batch     get conditioning outputs, then a row each
    FORWARD        from 0 to the end                 tracked from `forward_start` to the end
    BACKWARD       from `backward_start` down to 0   tracked from `backward_start` down to 0
    DONE           none: finished, failed or removed

Any phase may change to DONE. A shot that goes on from a snapshot (`shot_snapshot.py`) gets its
conditioning outputs, and then rows, from there, and enters the pass of the snapshot at its next
frame. In a pass (FORWARD or BACKWARD) an object is not part of a frame
before its start; on its prompted frames its conditioning output is the result; on the others it is
tracked, for which it needs a row; while the device has no memory for one, the shot stands still.
The scheduler holds shots of the first phase in `waiting`, of the next three in `running`.
"""

from collections.abc import Callable, Generator, Mapping
from enum import Enum, auto
from functools import partial

import torch

from pvtt_flow.models.sam2.model_input import ModelInput
from pvtt_flow.models.sam2.object_state import ObjectState, make_object
from pvtt_flow.models.sam2.prefetch import (
    PREFETCH_FRAMES,
    FramePrefetcher,
    ModelFrame,
)
from pvtt_flow.models.sam2.prompt_encoding import encode_prompts
from pvtt_flow.models.sam2.shot_snapshot import ShotSnapshot
from pvtt_flow.models.sam2.tensors import EncodedFrames
from pvtt_flow.models.tracker import ForeignStateError, PromptedShot, ReadFrames, TrackerParams
from pvtt_flow.types import Frame

# Frames that are read together in the backward pass: decoders only go forward.
_CHUNK_FRAMES = 64
# A backward pass that starts at p - 1 reads up to 15 object pointers, of frames p to p + 14.
_MAX_READ_BACKWARD = 14


class Phase(Enum):
    """Phase of a shot; see the module's docstring."""

    WAITING = auto()
    CONDITIONING = auto()
    FORWARD = auto()
    BACKWARD = auto()
    DONE = auto()


_NEXT_PHASES: Mapping[Phase, frozenset[Phase]] = {
    Phase.WAITING: frozenset({Phase.CONDITIONING, Phase.DONE}),
    Phase.CONDITIONING: frozenset({Phase.FORWARD, Phase.BACKWARD, Phase.DONE}),
    Phase.FORWARD: frozenset({Phase.BACKWARD, Phase.DONE}),
    Phase.BACKWARD: frozenset({Phase.DONE}),
    Phase.DONE: frozenset(),
}


class ShotState:
    """Shot on its way through the phases."""

    def __init__(
        self,
        shot: PromptedShot,
        params: TrackerParams,
        model_input: ModelInput,
        notify: Callable[[], None],
        is_backpressured: Callable[[], bool] = lambda: False,
        snapshot: ShotSnapshot | None = None,
    ) -> None:
        """Prepare a shot for a model that takes `model_input`; it goes on from a snapshot.

        `notify` is called, from another thread, when the next frame may be ready. While
        `is_backpressured()`, no frame is ready: its result would wait too long for its consumer.
        Raises DataError of kind `bad_prompt` for prompts that cannot be tracked, and
        ForeignStateError for a snapshot of another shot.
        """
        height, width, _ = next(iter(shot.prompt_frames.values())).rgb.shape
        self.display_px: tuple[int, int] = (height, width)
        self.prompt_images = {
            position: model_input.image(frame.rgb) for position, frame in shot.prompt_frames.items()
        }
        """uint8 (S, S, 3) by prompted position, until they are conditioned on; on the host, since
        shots that wait are many."""
        prompts = encode_prompts(
            shot.prompts, self.display_px, model_input.size_px, model_input.masks
        )
        self.objects = [
            make_object(object_id, by_position, params)
            for object_id, by_position in prompts.items()
        ]
        """Objects of the current pass."""
        self.encoded_frames: dict[int, EncodedFrames] = {}
        """Frames of the pass that were encoded before they are tracked, each alone, by position."""
        self._phase = Phase.WAITING
        self._is_backpressured = is_backpressured
        # Not the whole shot: its prompted frames are large and no longer needed.
        self._read = shot.read
        self._input = model_input
        self._notify = notify
        self._total_frames: int | None = None
        self._first_position = 0
        """First frame that the forward pass reads."""
        self._next_position = 0
        self._snapshot = snapshot
        """Until it is resumed from."""
        if snapshot is not None:
            self._prepare_to_resume(snapshot)
        read = (
            partial(_read_backward, shot.read, self._next_position + 1, model_input)
            if self._resumes_backward
            else partial(_read_forward, shot.read, self._first_position)
        )
        self._prefetcher = FramePrefetcher(read, model_input.next_image, notify)

    def _prepare_to_resume(self, snapshot: ShotSnapshot) -> None:
        self.prompt_images.clear()
        if snapshot.is_backward:
            self.objects = self._backward_objects()
            self._total_frames = snapshot.num_frames
        ids = [o.object_id for o in self.objects]
        if ids != [each.object_id for each in snapshot.objects]:
            got = [each.object_id for each in snapshot.objects]
            raise ForeignStateError(f"its objects must be {ids}, got {got}")
        self._next_position = snapshot.next_position
        self._first_position = snapshot.next_position

    @property
    def phase(self) -> Phase:
        """Current phase."""
        return self._phase

    def start_conditioning(self) -> None:
        """Leave the queue; reading starts."""
        self._enter(Phase.CONDITIONING)
        self._prefetcher.start()

    @property
    def resumes(self) -> bool:
        """Return whether the shot is to go on from a snapshot."""
        return self._snapshot is not None

    def resume(self, device: torch.device) -> None:
        """Take memories and outputs from the snapshot instead of conditioning on prompts."""
        if self._snapshot is None:
            raise RuntimeError("a shot must have a snapshot to go on from")
        snapshot = self._snapshot.to(device)
        for object_state, each in zip(self.objects, snapshot.objects, strict=True):
            object_state.resume(each)

    def start_first_pass(self) -> None:
        """Start to track; each object has its row."""
        self._enter(Phase.BACKWARD if self._resumes_backward else Phase.FORWARD)
        self._snapshot = None

    @property
    def _resumes_backward(self) -> bool:
        return self._snapshot is not None and self._snapshot.is_backward

    def start_backward_pass(self) -> None:
        """Continue with the objects that have a backward pass, in descending order of frames."""
        self._enter(Phase.BACKWARD)
        self._total_frames = self.num_frames
        self.objects = self._backward_objects()
        for object_state in self.objects:
            # Oldest first, as the backward pass sees them.
            object_state.forward_memories.sort(key=lambda memory: -memory.position)
        stop = 1 + max(o.backward_start for o in self.objects if o.backward_start is not None)
        self._next_position = stop - 1
        frames = partial(_read_backward, self._read, stop, self._input)
        self._prefetcher = FramePrefetcher(frames, self._input.next_image, self._notify)
        self._prefetcher.start()

    def finish(self) -> None:
        """Stop reading, in any phase."""
        self.encoded_frames.clear()
        if self._phase is not Phase.DONE:
            self._enter(Phase.DONE)
            self._prefetcher.stop()

    def _enter(self, phase: Phase) -> None:
        if phase not in _NEXT_PHASES[self._phase]:
            raise RuntimeError(f"a shot must not change from {self._phase.name} to {phase.name}")
        self._phase = phase

    @property
    def has_backward_pass(self) -> bool:
        """Return whether a backward pass follows the current one."""
        is_forward = self._phase is Phase.FORWARD and self.error is None
        return is_forward and any(o.backward_start is not None for o in self.objects)

    @property
    def needs_rows(self) -> bool:
        """Return whether an object must get a row before the next frame is tracked."""
        return any(object_state.needs_row for object_state in self.objects)

    @property
    def time_sign(self) -> int:
        """1, or -1 in the backward pass."""
        return -1 if self._phase is Phase.BACKWARD else 1

    @property
    def num_frames(self) -> int:
        """Processed frames of the shot; exact where SAM 2 depends on it, below 16."""
        if self._total_frames is not None:
            return self._total_frames
        return self._first_position + self._prefetcher.num_read

    def next_frame(self) -> ModelFrame | None:
        """Return the next frame of the current pass, or None when it cannot be processed yet."""
        if self._is_backpressured():
            return None
        return self._prefetcher.peek() if self._length_is_known else None

    @property
    def expected_s(self) -> float | None:
        """Time at which the next frame is expected (`time.monotonic`); None if it is there, or if
        nobody knows."""
        if self._is_backpressured() or not self._length_is_known:
            return None
        return self._prefetcher.expected_s

    @property
    def _length_is_known(self) -> bool:
        """Return whether the number of frames is known where SAM 2 depends on it."""
        is_long = self.time_sign < 0 or self.num_frames >= PREFETCH_FRAMES
        return self._prefetcher.finished or is_long

    def frames_ahead(self) -> list[ModelFrame]:
        """Return the frames after the next one that are read already."""
        return self._prefetcher.peek_after()

    def advance(self) -> None:
        """Move on to the frame after `next_frame`."""
        self._next_position = self._prefetcher.pop().position + self.time_sign

    def snapshot(self) -> ShotSnapshot:
        """Return a copy of the state between two steps of a pass, on the model's device."""
        if self._phase not in (Phase.FORWARD, Phase.BACKWARD):
            raise RuntimeError(f"a snapshot must be of a pass, got {self._phase.name}")
        return ShotSnapshot(
            is_backward=self._phase is Phase.BACKWARD,
            next_position=self._next_position,
            num_frames=self._total_frames,
            objects=[object_state.snapshot() for object_state in self.objects],
        )

    @property
    def next_is_last(self) -> bool:
        """Return whether the pass is known to end with the next frame."""
        return self._prefetcher.finished and self._prefetcher.num_buffered == 1

    @property
    def pass_finished(self) -> bool:
        """Return whether each frame of the current pass has been processed."""
        return self._prefetcher.exhausted

    @property
    def error(self) -> Exception | None:
        """Error that ended reading early."""
        return self._prefetcher.error

    def conditioned_objects(self, position: int) -> list[ObjectState]:
        """Return the objects whose conditioning outputs are the result on this frame."""
        return [
            o
            for o in self.objects
            if position in o.conditioning_outputs and self._has_started(o, position)
        ]

    def tracked_objects(self, position: int) -> list[ObjectState]:
        """Return the objects to track on this frame."""
        return [
            o
            for o in self.objects
            if position not in o.conditioning_outputs and self._has_started(o, position)
        ]

    def report_conditioning(self, position: int) -> None:
        """Drop the conditioning outputs that were the result on this frame."""
        for object_state in self.conditioned_objects(position):
            del object_state.conditioning_outputs[position]

    def is_read_backward(self, object_state: ObjectState, position: int) -> bool:
        """Return whether the backward pass will read the object's memory of this frame."""
        if self._phase is not Phase.FORWARD or object_state.backward_start is None:
            return False
        return position - min(object_state.prompts) <= _MAX_READ_BACKWARD

    def _backward_objects(self) -> list[ObjectState]:
        return [o for o in self.objects if o.backward_start is not None]

    def _has_started(self, object_state: ObjectState, position: int) -> bool:
        """Return whether the current pass has reached the object's start."""
        if self._phase is Phase.BACKWARD:
            start = object_state.backward_start
            return start is not None and position <= start
        start = object_state.forward_start
        return start is not None and position >= start


def _read_forward(read: ReadFrames, start: int) -> Generator[tuple[int, Frame]]:
    yield from enumerate(read(start, None), start)


def _read_backward(
    read: ReadFrames, stop: int, model_input: ModelInput
) -> Generator[tuple[int, Frame]]:
    """Yield frames `stop` - 1 down to 0, resized, from chunks that are read forward."""
    while stop > 0:
        start = max(0, stop - _CHUNK_FRAMES)
        chunk = zip(range(start, stop), read(start, stop), strict=True)
        resized = [(position, _resized(frame, model_input)) for position, frame in chunk]
        yield from reversed(resized)
        stop = start


def _resized(frame: Frame, model_input: ModelInput) -> Frame:
    return Frame(frame.frame_index, frame.pts_ns, model_input.image(frame.rgb))
