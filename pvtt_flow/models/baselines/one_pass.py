"""Pass of a baseline over a shot: which masks are given on which frame."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from pvtt_flow.core import rle
from pvtt_flow.models.baselines.one_frame import track_one_frame
from pvtt_flow.models.baselines.propagation import Propagation
from pvtt_flow.models.tracker import TrackedObject, Tracker
from pvtt_flow.types import Frame, Prompt

# A probability of float32 may be 0 or 1.
_MIN_PROBABILITY = 1e-6
_NEVER = np.log(_MIN_PROBABILITY)


@dataclass(frozen=True, slots=True)
class Entry:
    """Object of a pass."""

    object_id: int
    start: int
    """Position at which it enters, with a given mask."""
    first_result: int
    """Position of its first result: `start`, or the next one, if an earlier pass had that."""
    corrections: frozenset[int]
    """Positions of its corrections."""


@dataclass(slots=True, eq=False)
class Pass:
    """Objects enter where they start; frames are given in order, with their positions."""

    prompter: Tracker
    propagation: Propagation
    entries: Sequence[Entry]
    prompts: Mapping[int, Sequence[Prompt]]
    """All prompts of the shot, by position."""
    masks: Mapping[tuple[int, int], TrackedObject]
    """Masks of the prompts that are not corrections, by object id and position."""
    time_sign: int = 1
    """1, or -1 for descending positions."""
    _latest: dict[int, TrackedObject] = field(default_factory=dict)
    """Results on the frame before, by object id."""

    @property
    def start(self) -> int:
        """Return the position at which the first object enters."""
        return self.time_sign * min(self.time_sign * entry.start for entry in self.entries)

    def step(self, position: int, frame: Frame) -> tuple[TrackedObject, ...]:
        """Return the objects that have a result on this frame."""
        entered = [e for e in self.entries if self._is_past(position, e.start)]
        if not entered:
            return ()
        given = self._given(position, frame, entered)
        masks = {object_id: each.mask for object_id, each in given.items()}
        self._latest = most_probable(self.propagation.step(frame.rgb, masks)) | given
        return tuple(
            self._latest[e.object_id] for e in entered if self._is_past(position, e.first_result)
        )

    def _is_past(self, position: int, start: int) -> bool:
        return self.time_sign * (position - start) >= 0

    def _given(
        self, position: int, frame: Frame, entered: Sequence[Entry]
    ) -> dict[int, TrackedObject]:
        """Return the masks that are given on this frame, by object id."""
        corrections = [
            prompt
            for entry in entered
            if position in entry.corrections
            for prompt in self._correction(entry.object_id, position)
        ]
        corrected = {
            each.object_id: each for each in track_one_frame(self.prompter, frame, corrections)
        }
        keys = ((entry.object_id, position) for entry in entered)
        return {key[0]: self.masks[key] for key in keys if key in self.masks} | corrected

    def _correction(self, object_id: int, position: int) -> list[Prompt]:
        """Return the prompts of a correction, with the box of the mask before unless it has one."""
        own = [p for p in self.prompts[position] if p.object_id == object_id]
        latest = self._latest.get(object_id)
        box = None if latest is None else rle.box_of(latest.mask)
        if box is not None and all(prompt.box_xyxy is None for prompt in own):
            own[0] = replace(own[0], box_xyxy=box)
        return [replace(prompt, correction=False) for prompt in own]


def most_probable(
    probabilities: Mapping[int, NDArray[np.float32]],
) -> dict[int, TrackedObject]:
    """Give each pixel to what is most probable there: an object, or the background, which has the
    rest of the probability. Objects that are equally probable share it.

    The score of an object is the largest logarithm of its odds against the background.
    """
    each = np.stack(list(probabilities.values()))
    background = np.clip(1 - each.sum(0), _MIN_PROBABILITY, None)
    log_odds = np.log(np.clip(each, _MIN_PROBABILITY, None) / background)
    log_odds[each < each.max(0)] = _NEVER
    return {
        object_id: TrackedObject(object_id, own > 0, float(own.max()), predicted_iou=None)
        for object_id, own in zip(probabilities, log_odds, strict=True)
    }
