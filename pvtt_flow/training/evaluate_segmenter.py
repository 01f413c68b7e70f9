"""Measure J and F of the segmenter from a true box, mask or click on the first frame.

As in DAVIS 2017, the first and the last frame do not count, and errors are those of the mean over
clips.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pvtt_flow.core import rle
from pvtt_flow.core.inner_pixel import most_inner_pixel
from pvtt_flow.evaluate.measures import contour_accuracy, region_similarity
from pvtt_flow.models.tracker import PromptedShot, Tracker
from pvtt_flow.training.corpus import seed_of
from pvtt_flow.training.render.clip import random_clip
from pvtt_flow.training.render.library import Library
from pvtt_flow.types import Frame, Prompt

PromptKind = Literal["box", "mask", "point"]
PROMPT_KINDS: tuple[PromptKind, ...] = ("box", "mask", "point")
NUM_FRAMES = 24
# The target must cover this share of the first frame, which is the prompted one.
MIN_FIRST_SHARE = 0.003


@dataclass(frozen=True)
class TrueClip:
    """Frames and the true masks of one object, which is visible on the first frame."""

    name: str
    frames: NDArray[np.uint8]
    """uint8 (T, H, W, 3) RGB."""
    masks: NDArray[np.bool_]
    """bool (T, H, W)."""


@dataclass(frozen=True)
class Measured:
    """Measures of a clip by kind of prompt: J and F, J of the first and of the last frame."""

    clip: str
    rows: dict[PromptKind, tuple[float, float, float, float]]


@dataclass(frozen=True)
class Accuracy:
    """Measures of the clips of a set, with one kind of prompt."""

    clips: tuple[str, ...]
    j: NDArray[np.float64]
    """float64 (C,), mean over the frames of each clip."""
    f: NDArray[np.float64]
    """float64 (C,), mean over the frames of each clip."""
    first_j: NDArray[np.float64]
    """float64 (C,), J of the prompted frame."""
    last_j: NDArray[np.float64]
    """float64 (C,)"""

    @property
    def jf(self) -> NDArray[np.float64]:
        """Return J&F of each clip, float64 (C,)."""
        return (self.j + self.f) / 2


def held_out_clips(
    count: int, library: Library | None = None, *, area_px: int = 150 * 150
) -> Iterator[TrueClip]:
    """Yield `count` clips with a target on the first frame."""
    clips = (held_out_clip(index, library, area_px=area_px) for index in itertools.count())
    yield from itertools.islice(filter(None, clips), count)


def held_out_clip(
    index: int, library: Library | None = None, *, area_px: int = 150 * 150
) -> TrueClip | None:
    """Render a clip; None if the first frame hardly shows its target."""
    seed = seed_of("held_out", NUM_FRAMES, index)
    clip = random_clip(seed, NUM_FRAMES, area_px=area_px, library=library)
    masks = clip.labels == clip.target + 1
    return TrueClip(str(seed), clip.frames, masks) if masks[0].mean() >= MIN_FIRST_SHARE else None


def annotated_sequences(folder: Path) -> Iterator[TrueClip]:
    """Yield one object of each sequence.

    A sequence is a folder with images in `frames` and label images in `masks`.
    """
    for sequence in sorted(path for path in folder.iterdir() if (path / "masks").is_dir()):
        frames = _read_images(sequence / "frames")
        labels = _read_images(sequence / "masks").max(-1)
        # One object: white in a binary mask, or the lowest of several numbers.
        yield TrueClip(sequence.name, frames, labels == labels[0][labels[0] > 0].min())


def _read_images(folder: Path) -> NDArray[np.uint8]:
    """Read uint8 (T, H, W, 3) RGB; label images have their numbers in every channel."""
    return np.stack([_read_image(path) for path in sorted(folder.iterdir())])


def _read_image(path: Path) -> NDArray[np.uint8]:
    # PIL keeps a palette image's numbers, where OpenCV would give its colors.
    image = Image.open(path)
    pixels = np.asarray(image if image.mode in ("P", "L") else image.convert("RGB"), np.uint8)
    return pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=-1)


def prompt_of(kind: PromptKind, mask: NDArray[np.bool_]) -> Prompt:
    """Return the true prompt of a mask (H, W) that is not empty; a point is its most inner pixel.

    Raises ValueError for an empty mask.
    """
    box_xyxy = rle.box_of(mask)
    if box_xyxy is None:
        raise ValueError("the first mask must cover a pixel, got an empty mask")
    if kind == "box":
        return Prompt(object_id=0, frame_index=0, box_xyxy=tuple(map(float, box_xyxy)))
    if kind == "mask":
        return Prompt(object_id=0, frame_index=0, mask_rle=rle.encode(mask))
    x, y = most_inner_pixel(mask)
    point = (x + 0.5, y + 0.5)
    return Prompt(object_id=0, frame_index=0, points_xy=(point,), point_labels=(1,))


def track(tracker: Tracker, clip: TrueClip, prompt: Prompt) -> NDArray[np.bool_]:
    """Track the prompted object from the first frame on; return bool (T, H, W)."""
    shot = prompted_shot(clip, prompt)
    return np.stack([frame.objects[0].mask for frame in tracker.track(shot)])


def prompted_shot(clip: TrueClip, prompt: Prompt) -> PromptedShot:
    """Return a clip as a shot that is prompted on its first frame; times are numbers of frames."""
    stream = [Frame(index, index, rgb) for index, rgb in enumerate(clip.frames)]
    return PromptedShot(
        read=lambda start, stop: iter(stream[start:stop]),
        prompts={0: [prompt]},
        prompt_frames={0: stream[0]},
    )


def measure(
    tracker: Tracker, clips: Iterable[TrueClip], report: Callable[[str], None]
) -> dict[PromptKind, Accuracy]:
    """Measure each clip with each kind of prompt."""
    return collect((measure_clip(tracker, clip) for clip in clips), report)


def measure_clip(tracker: Tracker, clip: TrueClip) -> Measured:
    """Measure a clip with each kind of prompt."""
    rows: dict[PromptKind, tuple[float, float, float, float]] = {}
    for kind in PROMPT_KINDS:
        masks = track(tracker, clip, prompt_of(kind, clip.masks[0]))
        j, f = region_similarity(masks, clip.masks), contour_accuracy(masks, clip.masks)
        rows[kind] = (float(j[1:-1].mean()), float(f[1:-1].mean()), float(j[0]), float(j[-1]))
    return Measured(clip.name, rows)


def collect(
    measured: Iterable[Measured], report: Callable[[str], None]
) -> dict[PromptKind, Accuracy]:
    """Return the measures of all clips by kind of prompt, and report each clip's J."""
    clips = []
    for each in measured:
        clips.append(each)
        report(f"{each.clip}: J " + " ".join(f"{k} {each.rows[k][0]:.3f}" for k in PROMPT_KINDS))
    names = tuple(each.clip for each in clips)
    return {
        kind: Accuracy(names, *np.array([each.rows[kind] for each in clips]).T)
        for kind in PROMPT_KINDS
    }
