"""Clips to track: rendered clips with several products each, and the shipped samples."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pvtt_flow.models.tracker import PromptedShot
from pvtt_flow.training.render.clip import random_clip
from pvtt_flow.types import Frame, Prompt
from pvtt_flow.video.read import read_frames

SAMPLES = Path(__file__).parents[2] / "pvtt_flow" / "samples"
# Those in which there is something to track from beginning to end.
WHOLE_SAMPLES = ("one_product", "two_products", "occluding_hand", "leaves_and_returns")
MAX_OBJECTS = 5
FRAME_NS = 10**9 // 24
# As many pixels as the samples have; the aspect is drawn with the clip.
_AREA_PX = 480 * 270
# Clear of the seeds of training and its measurements (`pvtt_flow.training.corpus.SEEDS`).
_FIRST_SEED = 2_000_100_000


class Clip(Protocol):
    """Clip and what is asked about it on its first frame."""

    @property
    def frames(self) -> tuple[Frame, ...]:
        """All frames, in memory."""
        ...

    @property
    def prompts(self) -> tuple[Prompt, ...]:
        """Box of each object."""
        ...

    @property
    def size_px(self) -> tuple[int, int]:
        """Display height and width."""
        ...

    def clip(self) -> PromptedShot:
        """Return the clip as input of the project's tracker."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Filmed:
    """A clip that is decoded already, and what is asked about it on its first frame."""

    frames: tuple[Frame, ...]
    prompts: tuple[Prompt, ...]

    @property
    def size_px(self) -> tuple[int, int]:
        """Display height and width."""
        height, width = self.frames[0].rgb.shape[:2]
        return height, width

    def prompting(self, num_objects: int) -> "Filmed":
        """Return the clip with prompts for the first objects only."""
        return Filmed(self.frames, self.prompts[:num_objects])

    def clip(self) -> PromptedShot:
        """Return the clip as input of the project's tracker."""
        return PromptedShot(self._read, {0: self.prompts}, {0: self.frames[0]})

    def resized(self, size_px: tuple[int, int]) -> "Filmed":
        """Return the clip with pictures of this height and width."""
        frames = tuple(replace(f, rgb=resize(f.rgb, size_px)) for f in self.frames)
        return Filmed(frames, resized_prompts(self.prompts, self.size_px, size_px))

    def _read(self, start: int, stop: int | None) -> Iterator[Frame]:
        return iter(self.frames[start:stop])


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """Clip in a file, which is decoded each time that it is read."""

    path: Path
    num_frames: int
    size_px: tuple[int, int]
    prompts: tuple[Prompt, ...]

    @property
    def frames(self) -> tuple[Frame, ...]:
        """All frames, decoded now."""
        return tuple(self._read(0, None))

    def prompting(self, num_objects: int) -> "Encoded":
        """Return the clip with prompts for the first objects only."""
        return replace(self, prompts=self.prompts[:num_objects])

    def first(self, num_frames: int) -> "Encoded":
        """Return the beginning of the clip."""
        return replace(self, num_frames=min(num_frames, self.num_frames))

    def clip(self) -> PromptedShot:
        """Return the clip as input of the project's tracker."""
        return PromptedShot(self._read, {0: self.prompts}, {0: next(self._read(0, 1))})

    def _read(self, start: int, stop: int | None) -> Iterator[Frame]:
        with self.path.open("rb") as file:
            stop = self.num_frames if stop is None else min(stop, self.num_frames)
            yield from islice(read_frames(file), start, stop)


def render(num_clips: int, num_frames: int) -> list[Filmed]:
    """Clips with `MAX_OBJECTS` products, all of them boxed on the first frame."""
    clips: list[Filmed] = []
    seed = _FIRST_SEED
    while len(clips) < num_clips:
        drawn = random_clip(
            seed, num_frames, num_products=MAX_OBJECTS, event="none", area_px=_AREA_PX
        )
        seed += 1
        if not np.isnan(drawn.boxes_xyxy[0]).any():
            clips.append(Filmed(_framed(drawn.frames), _prompts(drawn.boxes_xyxy[0])))
    return clips


def sample(name: str, prompts: Sequence[Prompt]) -> Filmed:
    """A sample that ships, decoded."""
    with (SAMPLES / f"{name}.mp4").open("rb") as file:
        return Filmed(tuple(read_frames(file)), tuple(prompts))


def resize(rgb: NDArray[np.uint8], size_px: tuple[int, int]) -> NDArray[np.uint8]:
    """Stretch uint8 (H, W, 3) to this height and width, bicubically as SAM 2's loader does."""
    height, width = size_px
    return np.asarray(Image.fromarray(rgb).resize((width, height)))


def resized_prompts(
    prompts: Sequence[Prompt], old_px: tuple[int, int], new_px: tuple[int, int]
) -> tuple[Prompt, ...]:
    """Return boxes of a picture for the same picture with another height and width."""
    scale = np.array([new_px[1] / old_px[1], new_px[0] / old_px[0]] * 2)
    return tuple(
        replace(p, box_xyxy=tuple((np.array(p.box_xyxy) * scale).tolist())) for p in prompts
    )


def _framed(frames: NDArray[np.uint8]) -> tuple[Frame, ...]:
    return tuple(Frame(i, i * FRAME_NS, rgb) for i, rgb in enumerate(frames))


def _prompts(boxes_xyxy: NDArray[np.float32]) -> tuple[Prompt, ...]:
    return tuple(
        Prompt(object_id=i, frame_index=0, box_xyxy=tuple(box))
        for i, box in enumerate(boxes_xyxy.tolist())
    )
