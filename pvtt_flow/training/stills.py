"""Rendered stills with product boxes, for the detector: shards like those of `corpus.py`."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pvtt_flow.training.corpus import SEEDS, Split, library_of, render_shards, write_shard
from pvtt_flow.training.render.clip import RenderedClip, random_clip
from pvtt_flow.training.render.library import Library

SIDE_PX = 256
SHARD_SCENES = 100
# Two frames of a scene, 20 ticks apart, halve the cost of composing it.
FRAMES_PER_SCENE, STRIDE_TICKS = 2, 20.0
EMPTY_SHARE = 0.15
# A product of which less than this share of the frame shows gets no box.
MIN_AREA_SHARE = 0.002
# Stills share no seed with clips.
SEED_OFFSET = 500_000_000
GRAY = 114


@dataclass(frozen=True)
class Stills:
    """Letterboxed images and the boxes of their products."""

    images: NDArray[np.uint8]
    """uint8 (I, S, S, 3) RGB, gray outside the frame."""
    boxes_xyxy: NDArray[np.float32]
    """float32 (B, 4), pixels of the square."""
    image_index: NDArray[np.int64]
    """int64 (B,), the image of each box."""


def render_scene(split: Split, index: int, library: Library | None = None) -> RenderedClip:
    """Render FRAMES_PER_SCENE frames of one scene; EMPTY_SHARE of the scenes hold no product."""
    seed = SEEDS[split] + SEED_OFFSET + index
    empty = np.random.default_rng(seed).random() < EMPTY_SHARE
    return random_clip(
        seed,
        FRAMES_PER_SCENE,
        num_products=0 if empty else None,
        stride=STRIDE_TICKS,
        area_px=200 * 200,
        library=library,
    )


def letterbox(image: NDArray[np.uint8], side_px: int = SIDE_PX) -> tuple[NDArray[np.uint8], float]:
    """Return the image, scaled to fit the top left corner of a square, and the scale."""
    scale = side_px / max(image.shape[:2])
    size = round(image.shape[1] * scale), round(image.shape[0] * scale)
    square = np.full((side_px, side_px, 3), GRAY, np.uint8)
    square[: size[1], : size[0]] = cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)
    return square, scale


def stills_of(clip: RenderedClip) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.float32]]]:
    """Yield each frame letterboxed, with the boxes (N, 4) of sufficiently visible products."""
    areas = clip.masks.mean((2, 3))
    for frame, boxes, share in zip(clip.frames, clip.boxes_xyxy, areas, strict=True):
        square, scale = letterbox(frame)
        yield square, boxes[share >= MIN_AREA_SHARE] * np.float32(scale)


def render_shard(job: tuple[Path, Path, Split, int]) -> Path:
    """Render the scenes of one shard and write its file, unless it exists."""
    folder, assets, split, shard = job
    target = folder / f"{split}_{shard:05d}.npz"
    if target.exists():
        return target
    library = library_of(assets, split)
    images: list[NDArray[np.uint8]] = []
    boxes, image_indices = [], []
    for index in range(shard * SHARD_SCENES, (shard + 1) * SHARD_SCENES):
        for image, visible_boxes in stills_of(render_scene(split, index, library)):
            image_indices.append(np.full(len(visible_boxes), len(images)))
            images.append(image)
            boxes.append(visible_boxes)
    write_shard(
        target, images=np.stack(images), boxes_xyxy=np.concatenate(boxes),
        image_index=np.concatenate(image_indices),
    )  # fmt: skip
    return target


def render(
    folder: Path, assets: Path, split: Split, num_stills: int, *, processes: int
) -> Iterator[Path]:
    """Render the stills of a split; yield the path of each finished shard."""
    folder.mkdir(parents=True, exist_ok=True)
    library_of(assets, split)
    shards = range(-(-num_stills // (SHARD_SCENES * FRAMES_PER_SCENE)))
    jobs = [(folder, assets, split, shard) for shard in shards]
    yield from render_shards(render_shard, jobs, processes)


def load(folder: Path, split: str, limit: int | None = None) -> Stills:
    """Load all existing stills of a split, or the first `limit`."""
    parts = [np.load(path) for path in sorted(folder.glob(f"{split}_*.npz"))]
    starts = np.cumsum([0] + [len(part["images"]) for part in parts])
    images = np.concatenate([part["images"] for part in parts])[:limit]
    boxes = np.concatenate([part["boxes_xyxy"] for part in parts])
    index = np.concatenate(
        [part["image_index"] + start for part, start in zip(parts, starts[:-1], strict=True)]
    )
    is_loaded = index < len(images)
    return Stills(images, boxes[is_loaded], index[is_loaded].astype(np.int64))
