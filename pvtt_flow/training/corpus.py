"""Rendered clips on disk: shards of clips squeezed to the model's square, as SAM 2 squeezes frames.

A shard is one file, which gets its name when it is complete: rendering resumes where it stopped,
and a trainer may read the finished shards meanwhile. Seeds of the splits are disjoint: no clip
that is measured or shipped as a sample is trained on.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from pvtt_flow.training.render.clip import RenderedClip, random_clip

Job = TypeVar("Job")
SEEDS = {"train": 0, "held_out": 1_000_000_000, "samples": 2_000_000_000}
SHARD_CLIPS = 50
SIDE_PX = 128


@dataclass(frozen=True)
class Shard:
    """Several clips of equal length."""

    frames: NDArray[np.uint8]
    """uint8 (C, T, S, S, 3) RGB."""
    labels: NDArray[np.uint8]
    """uint8 (C, T, S, S): 0 or the product's number."""
    targets: NDArray[np.uint8]
    """uint8 (C,): number (from 1) of the product that a single prompt asks for."""


def seed_of(split: str, num_frames: int, index: int) -> int:
    """Return the seed of a clip; splits and lengths share no seed."""
    return SEEDS[split] + 1_000_000 * num_frames + index


def render_clip(split: str, num_frames: int, index: int) -> RenderedClip:
    """Render clip `index` of a split; training clips hold more products: each is supervised."""
    seed = seed_of(split, num_frames, index)
    if split != "train":
        return random_clip(seed, num_frames)
    rng = np.random.default_rng(seed + 500_000)
    num_products = int(rng.choice([2, 3, 4, 5])) if rng.random() < 0.8 else None
    return random_clip(
        seed, num_frames, num_products=num_products, stride=float(rng.choice([1, 2, 3]))
    )


def squeeze(
    clip: RenderedClip, side_px: int = SIDE_PX
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return frames (T, S, S, 3) and labels (T, S, S) stretched to a square."""
    size = side_px, side_px
    frames = [cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in clip.frames]
    labels = [cv2.resize(label, size, interpolation=cv2.INTER_NEAREST) for label in clip.labels]
    return np.stack(frames), np.stack(labels)


def render_shard(job: tuple[Path, str, int, int]) -> Path:
    """Render the clips of one shard and write its file, unless it exists."""
    folder, split, num_frames, shard = job
    target = folder / f"{split}_{num_frames:02d}_{shard:05d}.npz"
    if target.exists():
        return target
    frames, labels, targets = [], [], []
    for index in range(shard * SHARD_CLIPS, (shard + 1) * SHARD_CLIPS):
        clip = render_clip(split, num_frames, index)
        squeezed = squeeze(clip)
        frames.append(squeezed[0])
        labels.append(squeezed[1])
        targets.append(clip.target + 1)
    write_shard(
        target, frames=np.stack(frames), labels=np.stack(labels),
        targets=np.array(targets, np.uint8),
    )  # fmt: skip
    return target


def write_shard(path: Path, **arrays: Any) -> None:
    """Write the arrays of a shard; the file gets its name when it is complete."""
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        np.savez(file, **arrays)
    part.rename(path)


def render_shards(render: Callable[[Job], Path], jobs: list[Job], processes: int) -> Iterator[Path]:
    """Render shards in `processes` processes; yield the path of each finished shard."""
    with get_context("spawn").Pool(processes, initializer=cv2.setNumThreads, initargs=(1,)) as pool:
        yield from pool.imap_unordered(render, jobs)


def render(
    folder: Path, split: str, num_frames: int, num_clips: int, *, processes: int
) -> Iterator[Path]:
    """Render the clips of one length of a split; yield the path of each finished shard."""
    folder.mkdir(parents=True, exist_ok=True)
    shards = range(-(-num_clips // SHARD_CLIPS))
    jobs = [(folder, split, num_frames, shard) for shard in shards]
    yield from render_shards(render_shard, jobs, processes)


def load(path: Path) -> Shard:
    """Load a shard into memory."""
    with np.load(path) as data:
        return Shard(data["frames"], data["labels"], data["targets"])


def shard_paths(folder: Path, split: str, num_frames: int) -> list[Path]:
    """Return the paths of the existing shards, sorted."""
    return sorted(folder.glob(f"{split}_{num_frames:02d}_*.npz"))
