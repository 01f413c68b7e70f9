"""`Tracker` protocol on top of a baseline: SAM 2 turns prompts into masks, it carries them on.

The methods that SAM 2 is compared with take masks, not clicks or boxes. So each prompted frame is
segmented as an image by SAM 2, and the masks are given to the method on their frames. A correction
is segmented with the box of the mask on the frame before, unless it has a box. Passes, starts and
results are those of `Tracker`; the backward pass begins with an empty memory and the first masks.
Shots are tracked one frame at a time, without batches, and have no saved state.
"""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace

from pvtt_flow.models.baselines.one_frame import track_one_frame
from pvtt_flow.models.baselines.one_pass import Entry, Pass
from pvtt_flow.models.baselines.propagation import Propagator
from pvtt_flow.models.sam2.object_state import ObjectState, make_object
from pvtt_flow.models.sam2.prompt_encoding import encode_prompts
from pvtt_flow.models.tracker import (
    ForeignStateError,
    PromptedShot,
    ReadFrames,
    TrackedFrame,
    TrackedObject,
    Tracker,
    TrackerParams,
)
from pvtt_flow.types import Frame, Prompt

# Frames that are read together in the backward pass, at display size: decoders only go forward.
_CHUNK_FRAMES = 16
# Prompts are only checked at this size; SAM 2 encodes them at its own.
_CHECKED_SIDE_PX = 1024


class BaselineTracker:
    """Resident baseline that tracks one frame of one shot at a time."""

    def __init__(self, prompter: Tracker, propagator: Propagator, params: TrackerParams) -> None:
        """Track with `propagator`, from the masks of `prompter`."""
        self._prompter = prompter
        self._propagator = propagator
        self._params = params
        self._step_in_progress = threading.Lock()

    def track(self, shot: PromptedShot) -> Iterator[TrackedFrame]:
        """See `Tracker.track`; `state` of a frame is None."""
        if shot.saved is not None:
            raise ForeignStateError("a shot of a baseline must start anew, got a saved state")
        objects = self._objects(shot)
        masks = self._masks(shot)
        forward = self._pass(shot, masks, [_forward(o) for o in objects if _goes_forward(o)])
        for position, frame in enumerate(shot.read(0, None)):
            yield self._step(forward, position, frame)
        entries = [_backward(o) for o in objects if o.backward_start is not None]
        if not entries:
            return
        backward = replace(self._pass(shot, masks, entries), time_sign=-1)
        for position, frame in _read_backward(shot.read, backward.start + 1):
            tracked = self._step(backward, position, frame)
            if tracked.objects:
                yield tracked

    def _objects(self, shot: PromptedShot) -> list[ObjectState]:
        """Return prompts and starts of each object; raise DataError if it cannot be tracked."""
        height, width, _ = next(iter(shot.prompt_frames.values())).rgb.shape
        encoded = encode_prompts(shot.prompts, (height, width), _CHECKED_SIDE_PX)
        return [make_object(each, prompts, self._params) for each, prompts in encoded.items()]

    def _masks(self, shot: PromptedShot) -> dict[tuple[int, int], TrackedObject]:
        """Segment the prompted frames; return the masks by object id and position."""
        return {
            (each.object_id, position): each
            for position, frame in shot.prompt_frames.items()
            for each in track_one_frame(self._prompter, frame, _first_prompts(shot, position))
        }

    def _pass(
        self,
        shot: PromptedShot,
        masks: dict[tuple[int, int], TrackedObject],
        entries: Sequence[Entry],
    ) -> Pass:
        return Pass(
            prompter=self._prompter,
            propagation=self._propagator(),
            entries=entries,
            prompts=shot.prompts,
            masks=masks,
        )

    def _step(self, one_pass: Pass, position: int, frame: Frame) -> TrackedFrame:
        with self._step_in_progress:
            objects = one_pass.step(position, frame)
        return TrackedFrame(frame.frame_index, frame.pts_ns, objects)


def _first_prompts(shot: PromptedShot, position: int) -> list[Prompt]:
    """Return the prompts on a frame of the objects that are not only corrected there."""
    prompts = shot.prompts[position]
    first = {p.object_id for p in prompts if not p.correction}
    return [replace(p, correction=False) for p in prompts if p.object_id in first]


def _goes_forward(each: ObjectState) -> bool:
    return each.forward_start is not None


def _forward(each: ObjectState) -> Entry:
    start = min(each.prompts)
    return Entry(each.object_id, start, start, frozenset(each.corrections))


def _backward(each: ObjectState) -> Entry:
    """Begin with the mask with which the forward pass began, or without that with the last one."""
    start = min(each.prompts) if _goes_forward(each) else max(each.prompts)
    first_result = start if each.backward_start is None else each.backward_start
    return Entry(each.object_id, start, first_result, frozenset(each.corrections))


def _read_backward(read: ReadFrames, stop: int) -> Iterator[tuple[int, Frame]]:
    """Yield frames `stop` - 1 down to 0 from chunks that are read forward."""
    while stop > 0:
        start = max(0, stop - _CHUNK_FRAMES)
        # Decoders have room for a few frames, until these are released.
        chunk = [replace(frame, rgb=frame.rgb.copy()) for frame in read(start, stop)]
        yield from zip(range(stop - 1, start - 1, -1), reversed(chunk), strict=True)
        stop = start
