"""Tracked clips whose true masks are known, stored as a run stores its masklets."""

from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import islice
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from pvtt_flow.core.appearance import MeasureParams
from pvtt_flow.core.qc import measure
from pvtt_flow.core.quality import GOOD_J
from pvtt_flow.evaluate.measures import region_similarity
from pvtt_flow.models.baselines.build import build_baseline
from pvtt_flow.models.checkpoints import sha256_of
from pvtt_flow.models.sam2.threaded_tracker import ThreadedTracker
from pvtt_flow.models.tracker import BaselineParams, Method, Tracker, TrackerParams
from pvtt_flow.stages._masklet_builder import MaskletBuilder
from pvtt_flow.stages._observe import observed
from pvtt_flow.training.corpus import AREA_PX, Split, library_of, seed_of
from pvtt_flow.training.evaluate_segmenter import (
    MIN_FIRST_SHARE,
    NUM_FRAMES,
    TrueClip,
    prompt_of,
    prompted_shot,
)
from pvtt_flow.training.render.clip import RenderedClip, random_clip
from pvtt_flow.types import Frame, Masklet, Measurements, Prompt, Shot, Video

# Sides of a detector's box are off by this share of its width or height.
_BOX_NOISE = 0.05
# In others of the renderer's clips an object rarely leaves.
LEAVING_ONE_IN = 5


@dataclass(frozen=True, slots=True)
class Tracked:
    """Clip whose true product was tracked."""

    masklet: Masklet
    """Measured masklet."""
    j: NDArray[np.float64]
    """J of each frame, (T,)."""
    is_there: NDArray[np.bool_]
    """Truth: the object is visible on the frame, (T,)."""

    @property
    def counted(self) -> Iterator[int]:
        """Yield the places of the frames that count and have a mask.

        The first one, which is prompted, and the last one do not count, as in DAVIS.
        """
        for place in range(1, len(self.j) - 1):
            if self.masklet.frames[place].rle is not None:
                yield place

    @property
    def is_good(self) -> bool:
        """Return whether the masklet is good."""
        return bool(self.j[1:-1].mean() >= GOOD_J)

    @property
    def shows_a_gone_object(self) -> bool:
        """Return whether a frame that counts shows a mask of an object that is not there."""
        return any(not self.is_there[place] for place in self.counted)

    @property
    def measurements(self) -> Measurements:
        """Return what is measured of the masklet without the truth."""
        if self.masklet.qc is None:
            raise ValueError("the masklet must be measured")
        return self.masklet.qc


@dataclass(frozen=True)
class Recipe:
    """Clips to render, and the tracker to follow their products with."""

    work: Path
    """Folder with the meshes and skies."""
    split: Split
    weights: Path
    config: Path
    """SAM 2's config file of the weights."""
    method: Method | None = None
    """Baseline method instead of SAM 2's propagation."""


def track_clips(recipe: Recipe, count: int, *, processes: int) -> Iterator[Tracked]:
    """Render and track `count` clips, in order of their numbers; each shows its product first."""
    library_of(recipe.work / "assets", recipe.split)  # here, so that no two processes fetch it
    with get_context("spawn").Pool(processes) as pool:
        # More than half of all clips show their product.
        made = pool.imap(_TrackNumber(recipe), range(2 * count))
        yield from islice(filter(None, made), count)


@dataclass(frozen=True)
class _TrackNumber:
    """Clips by number, in processes of their own."""

    recipe: Recipe

    def __call__(self, index: int) -> Tracked | None:
        """Render and track a clip; None if the first frame hardly shows its product."""
        torch.set_num_threads(1)
        rendered = render_numbered(self.recipe, index)
        masks = rendered.labels == rendered.target + 1
        if masks[0].mean() < MIN_FIRST_SHARE:
            return None
        clip = TrueClip(f"{self.recipe.split}_{index}", rendered.frames, masks)
        return track(self.recipe, clip, detected_box(masks[0], index))


def render_numbered(recipe: Recipe, index: int) -> RenderedClip:
    """Render a clip of the split by its number."""
    return random_clip(
        seed_of(recipe.split, NUM_FRAMES, index),
        NUM_FRAMES,
        event="leave" if index % LEAVING_ONE_IN == LEAVING_ONE_IN - 1 else None,
        area_px=AREA_PX,
        library=library_of(recipe.work / "assets", recipe.split),
    )


def track_sequence(recipe: Recipe, clip: TrueClip) -> Tracked:
    """Track the true box of the first frame of a real sequence."""
    return track(recipe, clip, prompt_of("box", clip.masks[0]))


def track(recipe: Recipe, clip: TrueClip, prompt: Prompt) -> Tracked:
    """Track the object of a prompt on the first frame, and store and measure it as a run does."""
    builder = MaskletBuilder((prompt,))
    masks = []
    for tracked in tracker_of(recipe).track(prompted_shot(clip, prompt)):
        builder.add(tracked)
        masks.append(tracked.objects[0].mask)
    masklets = builder.masklets(clip.name, *_facts(clip))
    (masklet,) = observed(masklets, partial(read_clip, clip), MeasureParams(flow=True))
    height_px, width_px = clip.masks.shape[1:]
    qc = measure(masklet.frames, masklet.prompts, width_px=width_px, height_px=height_px)
    return Tracked(
        replace(masklet, qc=qc, tracker_hash=sha256_of(recipe.weights)),
        region_similarity(np.stack(masks), clip.masks),
        np.array([mask.any() for mask in clip.masks]),
    )


def detected_box(mask: NDArray[np.bool_], seed: int) -> Prompt:
    """Return the box of a mask (H, W) with the errors of a detector."""
    prompt = prompt_of("box", mask)
    box = np.array(prompt.box_xyxy)
    sides = np.tile(box[2:] - box[:2], 2)
    noisy = box + np.random.default_rng(seed).normal(0, _BOX_NOISE, 4) * sides
    x0, y0, x1, y1 = np.clip(noisy, 0, np.tile(mask.shape[::-1], 2)).tolist()
    return replace(prompt, box_xyxy=(x0, y0, x1, y1))


@cache
def tracker_of(recipe: Recipe) -> Tracker:
    """Return the tracker of a recipe, which stays loaded."""
    params = TrackerParams(
        device="cpu",
        max_concurrent_shots=1,
        baseline=BaselineParams(method=recipe.method),
    )
    tracker = ThreadedTracker(recipe.weights, recipe.config, params)
    return tracker if recipe.method is None else build_baseline(tracker, None, params)


def read_clip(clip: TrueClip, start: int, stop: int | None) -> Generator[Frame]:
    """Yield the frames of a clip at positions `[start, stop)`; times are numbers of frames."""
    for index, rgb in enumerate(clip.frames[start:stop], start):
        yield Frame(index, index, rgb)


def _facts(clip: TrueClip) -> tuple[Video, Shot]:
    num_frames, height_px, width_px, _ = clip.frames.shape
    video = Video(
        container="none",
        codec="none",
        pixel_format="rgb24",
        width_px=width_px,
        height_px=height_px,
        coded_width_px=width_px,
        coded_height_px=height_px,
        rotation_deg=0,
        fps_num=25,
        fps_den=1,
        duration_ns=None,
        num_frames_from_header=None,
    )
    return video, Shot(
        shot_id=f"{clip.name}/0",
        index=0,
        start_frame=0,
        stop_frame=num_frames,
        start_ns=0,
        stop_ns=num_frames,
        times_ns=tuple(range(num_frames)),
    )
