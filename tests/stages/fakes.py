"""Work as the stages get it, and models that see and track what a test says."""

import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import cycle
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pvtt_flow.core.shots import ShotParams
from pvtt_flow.models.tracker import PromptedShot, TrackedFrame, TrackedObject
from pvtt_flow.stages.inspect import Inspect
from pvtt_flow.types import Detections, Failure, Frame, Prompt, ShotRecord, Source
from pvtt_flow.video.limits import DEFAULT_LIMITS

WHOLE = ShotParams(detect_cuts=False)
Box = tuple[int, int, int, int]

FAILED = ShotRecord(
    source=Source(video_id="broken", uri="/broken.mp4", etag="e", size_bytes=1),
    failure=Failure(stage="inspect", kind="not_a_video", message="it is text"),
)


def record_of(path: Path, *prompts: Prompt) -> ShotRecord:
    """A video that nobody has opened yet; `prompts` are its manifest's."""
    size_bytes = path.stat().st_size if path.exists() else 0
    source = Source(
        video_id=path.stem, uri=str(path), etag="e", size_bytes=size_bytes, prompts=prompts
    )
    return ShotRecord(source=source)


def inspected(path: Path, *prompts: Prompt) -> ShotRecord:
    """Return the record after `inspect`, as one shot."""
    (record,) = Inspect(WHOLE, DEFAULT_LIMITS)([record_of(path, *prompts)])
    assert record.failure is None, record.failure
    return record


def prompted(path: Path, *prompts: Prompt) -> ShotRecord:
    """Return the record after `detect` has chosen these prompts."""
    return replace(inspected(path), prompts=prompts)


def box_prompt(object_id: int, box_xyxy: Box, frame_index: int = 0) -> Prompt:
    return Prompt(object_id=object_id, frame_index=frame_index, box_xyxy=box_xyxy)


class FakeDetector:
    """Sees the same boxes in every picture."""

    classes = ("cup", "bottle")

    def __init__(self, *found: tuple[Box, float, str]) -> None:
        self._seen = Detections(
            boxes_xyxy=np.array([box for box, _, _ in found], np.float32).reshape(-1, 4),
            scores=np.array([score for _, score, _ in found], np.float32),
            labels=tuple(label for _, _, label in found),
        )
        self.calls: list[list[tuple[int, ...]]] = []
        """The shapes of the pictures of each call."""

    def detect(self, pictures: Sequence[NDArray[np.uint8]]) -> list[Detections]:
        self.calls.append([picture.shape for picture in pictures])
        return [self._seen for _ in pictures]


class FakeTracker:
    """Finds each object where `box_at(object_id, frame_index)` says: from its first prompt on
    going forward, and before it going back.
    """

    CHUNK_FRAMES = 3

    def __init__(
        self,
        box_at: Callable[[int, int], Box | None],
        *,
        slot_utilization: Sequence[float] = (1.0,),
    ) -> None:
        """Frames report the values of `slot_utilization` in turn."""
        self._box_at = box_at
        self._slot_utilization = slot_utilization
        self.most_alive = 0
        """Frames of the stream that were held at once, going forward."""

    def track(self, shot: PromptedShot) -> Iterator[TrackedFrame]:
        assert shot.prompts.keys() == shot.prompt_frames.keys()
        first: dict[int, int] = {}
        for position in sorted(shot.prompts):
            for prompt in shot.prompts[position]:
                first.setdefault(prompt.object_id, position)
        utilization = cycle(self._slot_utilization)
        for position, frame in self._forward(shot):
            seen = [i for i, start in first.items() if start <= position]
            yield self._frame(frame, seen, next(utilization))
        for position, frame in self._back(shot, max(first.values())):
            seen = [i for i, start in first.items() if position < start]
            yield self._frame(frame, seen, next(utilization))

    def _forward(self, shot: PromptedShot) -> Iterator[tuple[int, Frame]]:
        pictures: list[weakref.ref[NDArray[np.uint8]]] = []
        for position, frame in enumerate(shot.read(0, None)):
            pictures.append(weakref.ref(frame.rgb))
            self.most_alive = max(self.most_alive, sum(ref() is not None for ref in pictures))
            if position in shot.prompt_frames:
                assert shot.prompt_frames[position].frame_index == frame.frame_index
            yield position, frame

    def _back(self, shot: PromptedShot, stop: int) -> Iterator[tuple[int, Frame]]:
        """From before `stop` down to 0, in chunks that are read forward."""
        for end in range(stop, 0, -self.CHUNK_FRAMES):
            start = max(0, end - self.CHUNK_FRAMES)
            chunk = zip(range(start, end), shot.read(start, end), strict=True)
            yield from reversed(list(chunk))

    def _frame(self, frame: Frame, seen: Iterable[int], slot_utilization: float) -> TrackedFrame:
        objects = tuple(self._object(i, frame) for i in sorted(seen))
        return TrackedFrame(frame.frame_index, frame.pts_ns, objects, slot_utilization)

    def _object(self, object_id: int, frame: Frame) -> TrackedObject:
        mask = np.zeros(frame.rgb.shape[:2], np.bool_)
        box = self._box_at(object_id, frame.frame_index)
        if box is not None:
            x0, y0, x1, y1 = box
            mask[y0:y1, x0:x1] = True
        score = -3.0 if box is None else 4.0
        return TrackedObject(object_id, mask, object_score=score, predicted_iou=0.8)
