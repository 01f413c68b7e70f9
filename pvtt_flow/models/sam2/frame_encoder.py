"""Image features of the frames of a step, encoded together with frames that come after them.

The image encoder is efficient on a GPU in large batches, and the frames of a step are as many as
running shots. Decoded frames wait for each shot (`prefetch.py`), so a batch is filled up with them;
their features wait at their shots.
"""

from collections.abc import Iterator, Sequence
from typing import TypeAlias

from pvtt_flow.models.sam2.batching import OutOfMemory, try_to_fit
from pvtt_flow.models.sam2.frame_image import stack_images
from pvtt_flow.models.sam2.model import Sam2
from pvtt_flow.models.sam2.prefetch import ModelFrame
from pvtt_flow.models.sam2.shot_state import ShotState
from pvtt_flow.models.sam2.tensors import EncodedFrames

ShotFrame: TypeAlias = tuple[ShotState, ModelFrame]


class FrameEncoder:
    """Encodes frames in batches of at least a wanted size, where so many are decoded."""

    def __init__(self, model: Sam2, batch_size: int) -> None:
        """Fill batches up to `batch_size`; with 1, frames are encoded when they are tracked."""
        self._model = model
        self._batch_size = batch_size

    def __call__(self, frames: Sequence[ShotFrame]) -> EncodedFrames:
        """Return what tracking reads of the frames, in order: one frame of each shot."""
        missing = [(s, frame) for s, frame in frames if frame.position not in s.encoded_frames]
        if len(missing) == len(frames) >= self._batch_size:
            return self._encode(frames)
        if missing:
            self._encode_with_others(missing, [shot for shot, _ in frames])
        return EncodedFrames.joined(
            [shot.encoded_frames.pop(frame.position) for shot, frame in frames]
        )

    def _encode(self, frames: Sequence[ShotFrame]) -> EncodedFrames:
        images = stack_images([frame.image for _, frame in frames], self._model.device)
        features = self._model.encode_images(images)
        return EncodedFrames(features, self._model.frame_tokens(features))

    def _encode_with_others(self, missing: list[ShotFrame], shots: Sequence[ShotState]) -> None:
        others = list(_frames_ahead(shots))[: max(0, self._batch_size - len(missing))]
        encoded = try_to_fit(lambda: self._encode([*missing, *others]))
        if isinstance(encoded, OutOfMemory):
            # A step must not fail for the sake of later ones.
            self._batch_size, others = 1, []
            encoded = self._encode(missing)
        for number, (shot, frame) in enumerate([*missing, *others]):
            shot.encoded_frames[frame.position] = encoded.row(number)


def _frames_ahead(shots: Sequence[ShotState]) -> Iterator[ShotFrame]:
    """Yield decoded frames after the next ones, those that are tracked first before others."""
    waiting = [(shot, shot.frames_ahead()) for shot in shots]
    for number in range(max((len(frames) for _, frames in waiting), default=0)):
        for shot, frames in waiting:
            if number < len(frames):
                frame = frames[number]
                is_known = frame.position in shot.encoded_frames
                if not is_known and shot.tracked_objects(frame.position):
                    yield shot, frame
