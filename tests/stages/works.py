"""Work as the stages get it, and models that see and track what a test says."""

import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pvtt_flow.data import Detections, Failure, Frame, Prompt, Source, Work
from pvtt_flow.media.limits import DEFAULT_LIMITS
from pvtt_flow.models.tracker import TrackedFrame, TrackedObject
from pvtt_flow.stages.inspect import Inspect

Box = tuple[int, int, int, int]

FAILED = Work(
    source=Source(video_id="broken", uri="/broken.mp4", etag="e", size_bytes=1),
    failure=Failure(stage="inspect", kind="not_a_video", message="it is text"),
)


def work_of(path: Path, *prompts: Prompt) -> Work:
    """A video that nobody has opened yet; `prompts` are its manifest's."""
    size_bytes = path.stat().st_size if path.exists() else 0
    source = Source(
        video_id=path.stem, uri=str(path), etag="e", size_bytes=size_bytes, prompts=prompts
    )
    return Work(source=source)


def inspected(path: Path, *prompts: Prompt) -> Work:
    """The same after `inspect`."""
    (work,) = Inspect(DEFAULT_LIMITS)([work_of(path, *prompts)])
    assert work.failure is None, work.failure
    return work


def prompted(path: Path, *prompts: Prompt) -> Work:
    """The same after `detect` has settled on these prompts."""
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
    """Finds each object, once prompted, where `box_at(object_id, frame_index)` says."""

    def __init__(self, box_at: Callable[[int, int], Box | None]) -> None:
        self._box_at = box_at
        self.most_alive = 0
        """Frames of the stream that were held at once."""

    def track(
        self,
        frames: Iterable[Frame],
        prompts: Mapping[int, Sequence[Prompt]],
        prompt_frames: Mapping[int, Frame],
    ) -> Iterator[TrackedFrame]:
        assert prompts.keys() == prompt_frames.keys()
        known: set[int] = set()
        pictures: list[weakref.ref[NDArray[np.uint8]]] = []
        for position, frame in enumerate(frames):
            pictures.append(weakref.ref(frame.rgb))
            self.most_alive = max(self.most_alive, sum(ref() is not None for ref in pictures))
            if position in prompt_frames:
                assert prompt_frames[position].frame_index == frame.frame_index
            known |= {prompt.object_id for prompt in prompts.get(position, ())}
            objects = tuple(self._object(i, frame) for i in sorted(known))
            yield TrackedFrame(frame.frame_index, frame.pts_ns, objects)

    def _object(self, object_id: int, frame: Frame) -> TrackedObject:
        mask = np.zeros(frame.rgb.shape[:2], np.bool_)
        box = self._box_at(object_id, frame.frame_index)
        if box is not None:
            x0, y0, x1, y1 = box
            mask[y0:y1, x0:x1] = True
        score = -3.0 if box is None else 4.0
        return TrackedObject(object_id, mask, object_score=score, predicted_iou=0.8)
