"""Rendered clips on disk: shards of clips squeezed to a square, as SAM 2 squeezes frames.

They are of the largest model's size, and smaller models load them smaller. A shard is one file,
which gets its name when it is complete: rendering resumes where it stopped, and a trainer may read
the finished shards meanwhile. Seeds of the splits are disjoint: no clip that is measured is trained
on.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from pvtt_flow.training.render.clip import RenderedClip, random_clip
from pvtt_flow.training.render.library import Library, open_library

Job = TypeVar("Job")
Split = Literal["train", "held_out", "calibration", "test"]
Renderer = Literal["raster", "cycles"]
SEEDS: dict[Split, int] = {
    "train": 0, "held_out": 1_000_000_000, "calibration": 3_000_000_000, "test": 5_000_000_000,
}  # fmt: skip
# A clip by a path tracer takes minutes: fewer of them are lost at an interruption.
SHARD_CLIPS: dict[Renderer, int] = {"raster": 50, "cycles": 5}
SIDE_PX = 256
# More pixels than the square has: clips of other shapes are squeezed into it.
AREA_PX = 300 * 300


@dataclass(frozen=True)
class Shard:
    """Several clips of equal length."""

    frames: NDArray[np.uint8]
    """uint8 (C, T, S, S, 3) RGB."""
    labels: NDArray[np.uint8]
    """uint8 (C, T, S, S): 0 or the product's number."""
    targets: NDArray[np.uint8]
    """uint8 (C,): number (from 1) of the product that a single prompt asks for."""


@dataclass(frozen=True)
class ShardJob:
    """Shard to render."""

    folder: Path
    assets: Path
    """Folder of meshes and skies."""
    split: Split
    num_frames: int
    shard: int
    renderer: Renderer = "raster"

    @property
    def path(self) -> Path:
        """Return the path of its file."""
        of = "" if self.renderer == "raster" else f"{self.renderer}_"
        return self.folder / f"{self.split}_{self.num_frames:02d}_{of}{self.shard:05d}.npz"

    @property
    def indices(self) -> range:
        """Return the numbers of its clips."""
        size = SHARD_CLIPS[self.renderer]
        return range(self.shard * size, (self.shard + 1) * size)


def library_of(assets: Path, split: Split) -> Library:
    """Return the meshes and skies of a split.

    All but `train` have the held-out ones, and nothing that is drawn: drawn shapes and backgrounds
    are easier, so what is measured are meshes alone. `calibration` has every other one of these
    meshes, and `test` the rest: what was calibrated is measured on meshes that it never saw.
    """
    if split == "train":
        return open_library(assets, held_out=False)
    held_out = replace(open_library(assets, held_out=True), mesh_share=1.0, sky_share=1.0)
    if split == "held_out":
        return held_out
    return replace(held_out, meshes=held_out.meshes[split == "test" :: 2])


def seed_of(split: Split, num_frames: int, index: int) -> int:
    """Return the seed of a clip; splits and lengths share no seed."""
    return SEEDS[split] + 1_000_000 * num_frames + index


def render_clip(split: Split, num_frames: int, index: int, library: Library) -> RenderedClip:
    """Render clip `index` of a split; training clips hold more products: each is supervised."""
    seed = seed_of(split, num_frames, index)
    if split != "train":
        return random_clip(seed, num_frames, area_px=AREA_PX, library=library)
    rng = np.random.default_rng(seed + 500_000)
    num_products = int(rng.choice([2, 3, 4, 5])) if rng.random() < 0.8 else None
    return random_clip(
        seed, num_frames, num_products=num_products, stride=float(rng.choice([1, 2, 3])),
        area_px=AREA_PX, library=library,
    )  # fmt: skip


def _trace_clip(split: Split, num_frames: int, index: int, library: Library) -> RenderedClip:
    """Render clip `index` of a split with Blender."""
    # A large library that only this needs.
    try:
        from pvtt_flow.training.render.cycles import cycles_clip
    except ImportError as error:
        raise ImportError(f"traced clips need the extra `train` of Python 3.11: {error}") from error
    return cycles_clip(seed_of(split, num_frames, index), num_frames, library, side_px=SIDE_PX)


def squeeze(
    clip: RenderedClip, side_px: int = SIDE_PX
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return frames (T, S, S, 3) and labels (T, S, S) stretched to a square."""
    return _stretch(clip.frames, clip.labels, side_px)


def _stretch(
    frames: NDArray[np.uint8], labels: NDArray[np.uint8], side_px: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    size = side_px, side_px
    return (
        np.stack([cv2.resize(each, size, interpolation=cv2.INTER_AREA) for each in frames]),
        np.stack([cv2.resize(each, size, interpolation=cv2.INTER_NEAREST) for each in labels]),
    )


def render_shard(job: ShardJob) -> Path:
    """Render the clips of one shard and write its file, unless it exists."""
    target = job.path
    if target.exists():
        return target
    library = library_of(job.assets, job.split)
    draw = render_clip if job.renderer == "raster" else _trace_clip
    frames, labels, targets = [], [], []
    for index in job.indices:
        clip = draw(job.split, job.num_frames, index, library)
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
    folder: Path, assets: Path, split: Split, num_frames: int, num_clips: int, *, processes: int,
    renderer: Renderer = "raster",
) -> Iterator[Path]:  # fmt: skip
    """Render the clips of one length of a split; yield the path of each finished shard."""
    folder.mkdir(parents=True, exist_ok=True)
    # Here, so that no two processes fetch them.
    library_of(assets, split)
    shards = range(-(-num_clips // SHARD_CLIPS[renderer]))
    jobs = [ShardJob(folder, assets, split, num_frames, shard, renderer) for shard in shards]
    yield from render_shards(render_shard, jobs, processes)


def load(path: Path, side_px: int = SIDE_PX) -> Shard:
    """Load a shard into memory, its pictures stretched to a square of this side."""
    with np.load(path) as data:
        pairs = zip(data["frames"], data["labels"], strict=True)
        frames, labels = zip(*(_stretch(*pair, side_px) for pair in pairs), strict=True)
        return Shard(np.stack(frames), np.stack(labels), data["targets"])


def shard_paths(folder: Path, split: Split, num_frames: int) -> list[Path]:
    """Return the paths of the existing shards, sorted."""
    return sorted(folder.glob(f"{split}_{num_frames:02d}_*.npz"))
