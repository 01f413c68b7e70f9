"""Checkpoints of a shot: the tracker's state after a frame, with the results up to there.

Both are of one moment, since the state comes behind its frame. A shot goes on from them with its
saved prompts: those that a detector finds now may differ in a last bit.
"""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pvtt_flow import __version__
from pvtt_flow.core.ids import hash_of
from pvtt_flow.dataset.arrow import from_bytes, to_bytes
from pvtt_flow.dataset.unfinished import DamagedStateError, UnfinishedShots, video_folder
from pvtt_flow.errors import StoreError
from pvtt_flow.models.tracker import SavedState
from pvtt_flow.stages._masklet_builder import MaskletBuilder
from pvtt_flow.types import MaskletFrame, Prompt, Shot, Source, Video

_LOG = logging.getLogger("pvtt_flow")
# Raised when the content of a checkpoint changes; older ones are then never found.
_FORMAT = 2
_TRACKER, _FRAMES = "tracker.", "frames."


@dataclass(slots=True)
class Progress:
    """Shot on its way."""

    builder: MaskletBuilder
    propagate_s: float = 0.0
    """Seconds of tracking so far."""
    state: SavedState | None = None
    """State of the tracker to go on from."""
    num_resumed_frames: int = 0
    """Frames that were tracked before an interruption."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Facts:
    """Row of a checkpoint."""

    prompts: tuple[Prompt, ...]
    propagate_s: float
    num_tracked: int
    sum_of_inverse_utilization: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _ObjectFrame:
    """Row of a checkpoint for each frame of an object."""

    object_id: int
    frame: MaskletFrame


@dataclass(frozen=True, slots=True)
class Checkpoints:
    """Checkpoints of a dataset."""

    uri: str
    every_s: float

    def of_shot(self, source: Source, shot: Shot, video: Video) -> "ShotCheckpoint":
        """Return the checkpoint of a shot: another content, config or version has another one."""
        key = {
            "format": _FORMAT,
            "code_version": __version__,
            "size_px": (video.width_px, video.height_px),
            "start_frame": shot.start_frame,
            "times_ns": shot.times_ns,
        }
        folder = video_folder(source.video_id, source.work_key)
        path = f"{folder}/{shot.index:04d}-{hash_of(key)}.safetensors"
        return ShotCheckpoint(UnfinishedShots(self.uri), path, shot.shot_id, self.every_s)


@dataclass(slots=True)
class ShotCheckpoint:
    """Checkpoint of one shot, which is replaced every so often."""

    _store: UnfinishedShots
    _path: str
    _shot_id: str
    _every_s: float
    _due_s: float = field(init=False)
    _saved_frames: list[NDArray[np.uint8]] = field(default_factory=list)
    """Rows of frames, as earlier checkpoints have them: each is made once."""
    _num_saved_frames: int = 0

    def __post_init__(self) -> None:
        self._due_s = time.monotonic() + self._every_s

    def is_due(self) -> bool:
        """Return, once in a while, that a state is wanted."""
        now = time.monotonic()
        if now < self._due_s:
            return False
        self._due_s = now + self._every_s
        return True

    def load(self) -> Progress | None:
        """Return what an interrupted run has saved; None, with a warning if there is a reason.

        Raises StoreError if the store cannot be read.
        """
        try:
            arrays = self._store.load(self._path)
            return None if arrays is None else self._progress(arrays)
        except (DamagedStateError, KeyError, ValueError, TypeError) as error:
            self.ignore(error)
            return None

    def ignore(self, reason: Exception) -> None:
        """Start anew, with a warning that the checkpoint cannot be used."""
        self._saved_frames, self._num_saved_frames = [], 0
        _LOG.warning("%s starts anew, since its saved state is ignored: %s", self._shot_id, reason)

    def save(self, progress: Progress, state: Callable[[], SavedState] | None) -> None:
        """Save the frames so far with the state that came with the latest one, if one did.

        If the store refuses it, tracking goes on, with a warning.
        """
        if state is None:
            return
        builder = progress.builder
        self._add_frames(builder)
        facts = _Facts(
            prompts=tuple(builder.prompts),
            propagate_s=progress.propagate_s,
            num_tracked=builder.num_tracked,
            sum_of_inverse_utilization=builder.sum_of_inverse_utilization,
        )
        arrays: dict[str, NDArray[Any]] = {
            "facts": to_bytes(_Facts, [facts]),
            "times": np.array(list(builder.times.items()), np.int64),
            **{f"{_FRAMES}{n}": rows for n, rows in enumerate(self._saved_frames)},
            **{f"{_TRACKER}{name}": array for name, array in state().items()},
        }
        try:
            self._store.save(self._path, arrays)
        except StoreError as error:
            _LOG.warning("the state of %s is not saved: %s", self._shot_id, error)
        # A slow store must not be busy with this alone.
        self._due_s = time.monotonic() + self._every_s

    def _add_frames(self, builder: MaskletBuilder) -> None:
        new = islice(builder.frames.items(), self._num_saved_frames, None)
        rows = [_ObjectFrame(object_id=object_id, frame=f) for (object_id, _), f in new]
        self._saved_frames.append(to_bytes(_ObjectFrame, rows))
        self._num_saved_frames = len(builder.frames)

    def _progress(self, arrays: Mapping[str, NDArray[Any]]) -> Progress:
        [facts] = from_bytes(_Facts, arrays["facts"])
        builder = MaskletBuilder(
            facts.prompts,
            times=dict(arrays["times"].tolist()),
            num_tracked=facts.num_tracked,
            sum_of_inverse_utilization=facts.sum_of_inverse_utilization,
        )
        num_parts = sum(name.startswith(_FRAMES) for name in arrays)
        self._saved_frames = [arrays[f"{_FRAMES}{n}"] for n in range(num_parts)]
        for rows in self._saved_frames:
            for row in from_bytes(_ObjectFrame, rows):
                builder.add_frame(row.object_id, row.frame)
        self._num_saved_frames = len(builder.frames)
        state = {
            name.removeprefix(_TRACKER): array
            for name, array in arrays.items()
            if name.startswith(_TRACKER)
        }
        _LOG.info("%s goes on at frame %d", self._shot_id, len(builder.times))
        return Progress(builder, facts.propagate_s, state, len(builder.times))
