"""Held-out rendered clips of one product as videos, some of which begin badly.

Half of them are as rendered; of the others the first 6 of 24 frames are spoiled, less and less:

    fade     from black; nothing is there to be found on the black frame
    blur     out of focus by up to a twentieth of the picture's height, with grain
    cover    a card lies over the product and is drawn away; what it hides is not the product
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pvtt_flow.core import rle
from pvtt_flow.core.shots import ShotParams
from pvtt_flow.stages.inspect import Inspect
from pvtt_flow.training.corpus import seed_of
from pvtt_flow.training.evaluate_segmenter import MIN_FIRST_SHARE, NUM_FRAMES
from pvtt_flow.training.render.clip import random_clip
from pvtt_flow.types import ShotRecord, Source
from pvtt_flow.video.encode import write_mp4
from pvtt_flow.video.limits import DEFAULT_LIMITS

KINDS = ("plain", "fade", "blur", "cover")
_TURNS = ("plain", "fade", "plain", "blur", "plain", "cover")
_SPOILED_FRAMES = 6
_GRAIN = 3.0

Pictures = NDArray[np.uint8]
"""uint8 (T, H, W, 3) RGB."""
Masks = NDArray[np.bool_]
"""bool (T, H, W)."""


@dataclass(frozen=True, slots=True)
class Shown:
    """Clip as a video, and the frames on which its product is visible."""

    kind: str
    work: ShotRecord
    truth: Masks


def film(folder: Path, count: int) -> Iterator[Shown]:
    """Kinds take turns, so that none has the easier clips."""
    inspect = Inspect(ShotParams(detect_cuts=False), DEFAULT_LIMITS)
    for number, (seed, frames, truth) in enumerate(_clips(count)):
        kind = _TURNS[number % len(_TURNS)]
        spoiled, seen = _spoiled(kind, np.random.default_rng(seed), frames, truth)
        path = folder / f"{number}.mp4"
        write_mp4(path, spoiled, Fraction(25))
        source = Source(video_id=path.stem, uri=str(path), etag="", size_bytes=path.stat().st_size)
        (work,) = inspect([ShotRecord(source=source)])
        yield Shown(kind, work, seen)


def _clips(count: int) -> Iterator[tuple[int, Pictures, Masks]]:
    """Seed, frames and masks of clips whose product shows at first."""
    index = 0
    while count:
        seed = seed_of("held_out", NUM_FRAMES, index)
        clip = random_clip(seed, NUM_FRAMES, num_products=1)
        index += 1
        if (clip.labels[0] == 1).mean() >= MIN_FIRST_SHARE:
            count -= 1
            yield seed, clip.frames, clip.labels == 1


def _spoiled(
    kind: str, rng: np.random.Generator, frames: Pictures, truth: Masks
) -> tuple[Pictures, Masks]:
    frames, truth = frames.copy(), truth.copy()
    card = rng.integers(0, 256, 3, np.uint8)
    for t in range(0 if kind == "plain" else _SPOILED_FRAMES):
        clear = t / _SPOILED_FRAMES
        match kind:
            case "fade":
                frames[t] = frames[t] * clear
                truth[t] &= clear > 0
            case "blur":
                frames[t] = _out_of_focus(rng, frames[t], 0.05 * (1 - clear) * frames.shape[1])
            case "cover":
                rows, columns = _card(truth[t], clear)
                frames[t, rows, columns] = card
                truth[t, rows, columns] = False
    return frames, truth


def _out_of_focus(rng: np.random.Generator, rgb: Pictures, sigma_px: float) -> Pictures:
    soft = cv2.GaussianBlur(rgb, (0, 0), sigma_px) + _GRAIN * rng.standard_normal(rgb.shape)
    return np.clip(soft, 0, 255).astype(np.uint8)


def _card(mask: Masks, clear: float) -> tuple[slice, slice]:
    """Over the product, drawn to the right as it gets clear."""
    box_xyxy = rle.box_of(mask)
    if box_xyxy is None:
        return slice(0), slice(0)
    x0, y0, x1, y1 = box_xyxy
    return slice(y0, y1), slice(x0 + round(clear * (x1 - x0)), x1 + round(clear * (x1 - x0)))
