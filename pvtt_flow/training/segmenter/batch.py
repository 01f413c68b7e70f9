"""Training batches: windows of clips, augmented, with a prompt for every visible product."""

from dataclasses import dataclass, replace
from itertools import chain, cycle, islice

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from pvtt_flow.training.corpus import Shard
from pvtt_flow.training.segmenter.prompts import Points, PromptPlan, Rng, on_device, points_of

# A product of a smaller share of the prompted frames is not prompted.
MIN_AREA_SHARE = 0.003
# Share of the windows seen by a camera of its own, and the ranges of what it does.
CAMERA = 0.6
ZOOM, ZOOM_CHANGE, TURN_DEG, SHIFT = (0.7, 2.2), 1.5, 12.0, 0.15
MEAN = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
STD = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)


@dataclass(frozen=True)
class Batch:
    """B clips of T frames with P (clip, product) pairs, all prompted on the same frames."""

    images: torch.Tensor
    """float32 (B, T, 3, S, S), normalized with MEAN and STD."""
    masks: torch.Tensor
    """float32 (P, T, S, S), the visible part, 0 or 1."""
    clip: torch.Tensor
    """int64 (P,), index of the clip of each pair."""
    plan: PromptPlan
    prompts: dict[int, Points | None]
    """Boxes or points of the pairs by prompted frame; None where their masks are the prompts."""

    def to(self, device: torch.device) -> "Batch":
        """Return the batch on a device."""
        return replace(
            self,
            images=self.images.to(device),
            masks=self.masks.to(device),
            clip=self.clip.to(device),
            prompts={
                t: None if points is None else on_device(points, device)
                for t, points in self.prompts.items()
            },
        )


def sample_batch(
    rng: Rng,
    shards: list[Shard],
    plan: PromptPlan,
    *,
    num_clips: int,
    num_frames: int,
    num_pairs: int,
) -> Batch:
    """Sample `num_clips` windows with a product to prompt, and `num_pairs` of their products.

    Every clip has one; where there are too few, some are prompted twice, in other ways.
    """
    images: list[NDArray[np.uint8]] = []
    first: list[tuple[int, NDArray[np.bool_]]] = []
    others: list[tuple[int, NDArray[np.bool_]]] = []
    while len(images) < num_clips:
        frames, labels = _augment(rng, *_random_window(rng, shards, num_frames))
        visible = _visible(labels[list(plan.frames)])
        if not len(visible):
            continue
        pairs = [(len(images), labels == number) for number in rng.permutation(visible)]
        first.append(pairs[0])
        others += pairs[1:]
        images.append(frames)
    in_turn = chain(first, cycle([others[n] for n in rng.permutation(len(others))] + first))
    clips, masks = zip(*islice(in_turn, max(num_pairs, num_clips)), strict=True)
    truth = np.stack(masks)
    return Batch(
        normalize(np.stack(images)),
        torch.from_numpy(truth).float(),
        torch.tensor(clips),
        plan,
        {t: points_of(rng, plan, truth[:, t]) for t in plan.frames},
    )


def _visible(labels: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return the numbers of the products that are large enough on each frame of (T, S, S)."""
    areas = np.stack([np.bincount(frame.ravel(), minlength=256)[1:] for frame in labels])
    return 1 + np.flatnonzero((areas >= MIN_AREA_SHARE * labels[0].size).all(axis=0))


def normalize(frames: NDArray[np.uint8]) -> torch.Tensor:
    """Return float32 (..., 3, S, S) of uint8 (..., S, S, 3) RGB, as SAM 2's predictor does."""
    images = torch.from_numpy(frames).movedim(-1, -3).float() / 255
    return (images - MEAN) / STD


def _random_window(
    rng: Rng, shards: list[Shard], num_frames: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return frames and labels of num_frames frames, 1 or 2 apart, of a random clip."""
    long_enough = [shard for shard in shards if shard.frames.shape[1] >= num_frames]
    # Each clip is as likely: shards differ in size.
    sizes = np.array([len(shard.frames) for shard in long_enough])
    shard = long_enough[int(rng.choice(len(sizes), p=sizes / sizes.sum()))]
    index = int(rng.integers(len(shard.frames)))
    length = shard.frames.shape[1]
    stride = int(rng.integers(1, max(1, min(2, (length - 1) // max(1, num_frames - 1))) + 1))
    start = int(rng.integers(length - (num_frames - 1) * stride))
    window = slice(start, start + (num_frames - 1) * stride + 1, stride)
    return shard.frames[index, window], shard.labels[index, window]


def _augment(
    rng: Rng, frames: NDArray[np.uint8], labels: NDArray[np.uint8]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Reverse time, mirror and transpose space, move the camera, change colors, at random."""
    if rng.random() < 0.5:
        frames, labels = frames[::-1], labels[::-1]
    if rng.random() < 0.5:
        frames, labels = frames[:, :, ::-1], labels[:, :, ::-1]
    if rng.random() < 0.3:
        frames, labels = frames.swapaxes(1, 2), labels.swapaxes(1, 2)
    if rng.random() < 0.3:
        frames, labels = frames[:, ::-1], labels[:, ::-1]
    if rng.random() < CAMERA:
        frames, labels = move_camera(rng, frames, labels)
    if rng.random() < 0.5:
        frames = frames[..., rng.permutation(3)]
    if rng.random() < 0.1:
        frames = 255 - frames
    if rng.random() < 0.5:
        levels = np.arange(256)[:, None] * rng.uniform(0.7, 1.4) + rng.normal(0, 12, 3)
        table = np.clip(levels, 0, 255).astype(np.uint8)
        frames = np.stack([table[:, c][frames[..., c]] for c in range(3)], axis=-1)
    if rng.random() < 0.5:
        grain = rng.uniform(1, 9) * rng.standard_normal(frames.shape, np.float32)
        frames = np.clip(frames + grain, 0, 255).astype(np.uint8)
    return np.ascontiguousarray(frames), np.ascontiguousarray(labels)


def move_camera(
    rng: Rng, frames: NDArray[np.uint8], labels: NDArray[np.uint8]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Zoom, turn and shift the pictures (T, S, S, …), evenly from the first to the last.

    What comes into view is of one gray, as the bars of a video in another shape.
    """
    num_frames, side_px = labels.shape[:2]
    zoom = np.exp(rng.uniform(*np.log(ZOOM)))
    change = np.exp(rng.uniform(-1, 1) * np.log(ZOOM_CHANGE) / 2)
    gray = int(rng.integers(0, 128))
    steps = np.linspace(0, 1, num_frames)
    zooms = np.clip(zoom * change ** (2 * steps - 1), *ZOOM)
    turns = rng.uniform(-TURN_DEG, TURN_DEG) + rng.uniform(-TURN_DEG, TURN_DEG) / 2 * steps
    first, last = rng.uniform(-SHIFT, SHIFT, (2, 2)) * side_px
    size = side_px, side_px
    moved = []
    for t in range(num_frames):
        matrix = cv2.getRotationMatrix2D((side_px / 2, side_px / 2), turns[t], zooms[t])
        matrix[:, 2] += first + (last - first) * steps[t]
        moved.append((
            cv2.warpAffine(frames[t], matrix, size, borderValue=(gray, gray, gray)),
            cv2.warpAffine(labels[t], matrix, size, flags=cv2.INTER_NEAREST),
        ))  # fmt: skip
    return np.stack([frame for frame, _ in moved]), np.stack([label for _, label in moved])
