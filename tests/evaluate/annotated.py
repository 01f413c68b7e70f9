"""Sequences with truth and guesses, written in the layouts of the benchmarks.

Numbers come from a formula, not from a random generator, so that they are the same for ever.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pvtt_flow.core import rle
from pvtt_flow.types import Masklet, MaskletFrame, Origin, Prompt
from tests.dataset.dataset_rows import masklet

HEIGHT_PX, WIDTH_PX = 96, 128
Labels = NDArray[np.uint8]
"""uint8 (T, H, W): 0 or the number of the object."""


def disk(center_xy: tuple[float, float], radius: float) -> NDArray[np.bool_]:
    y, x = np.mgrid[:HEIGHT_PX, :WIDTH_PX]
    return np.asarray((x - center_xy[0]) ** 2 + (y - center_xy[1]) ** 2 <= radius**2)


def moving(num_frames: int, *, off_px: float, absent: Mapping[int, Sequence[int]]) -> Labels:
    """Draw three objects that move; `off_px` grows from frame to frame, and `absent` hides some."""
    labels = np.zeros((num_frames, HEIGHT_PX, WIDTH_PX), np.uint8)
    for t in range(num_frames):
        shift = off_px * t / num_frames
        centers = {
            1: (20 + 3 * t + shift, 30 + t),
            2: (100 - 2 * t, 60 - t + shift),
            3: (60 - shift, 20 + 3 * t + shift),
        }
        for number, center in centers.items():
            if t not in absent.get(number, ()):
                labels[t][disk(center, 9 + 2 * number + 0.3 * t)] = number
    return labels


NUM_FRAMES = 19
TRUTH = {
    # The second object leaves and returns; the third is hidden at once, and comes late.
    "ball": moving(NUM_FRAMES, off_px=0, absent={2: range(8, 13), 3: range(1, 6)}),
    # The third object is not on the first frame.
    "cup": moving(NUM_FRAMES, off_px=0, absent={3: range(4), 1: range(15, 19)}),
}
GUESSES = {
    # The second object is missed before it leaves, and seen where it is not.
    "ball": moving(NUM_FRAMES, off_px=14, absent={2: range(6, 11), 3: range(1, 6)}),
    "cup": moving(NUM_FRAMES, off_px=25, absent={3: range(3), 1: range(16, 19)}),
}


def write_labels(folder: Path, labels: Labels, *, numbers: Sequence[int] | None = None) -> None:
    """Write a palette PNG for each frame."""
    folder.mkdir(parents=True)
    for number, picture in zip(numbers or range(len(labels)), labels, strict=True):
        image = Image.fromarray(picture, mode="P")
        image.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0])
        image.save(folder / f"{number:05d}.png")


def write_objects(folder: Path, labels: Labels) -> None:
    """Write a PNG for each object and frame, as SA-V has them."""
    for number in range(1, int(labels.max()) + 1):
        home = folder / f"{number:03d}"
        home.mkdir(parents=True)
        for t, picture in enumerate(labels):
            Image.fromarray((picture == number).astype(np.uint8) * 255).save(home / f"{t:05d}.png")


def masklets(
    video_id: str, labels: Labels, *, origin: Origin = "manifest", first_id: int = 1
) -> list[Masklet]:
    """Return a masklet of one shot for each object."""
    found = []
    for number in range(1, int(labels.max()) + 1):
        object_id = number - 1 + first_id
        prompt = Prompt(object_id=object_id, frame_index=0, box_xyxy=(0, 0, 9, 9), origin=origin)
        frames = tuple(_frame(t, picture == number) for t, picture in enumerate(labels))
        found.append(
            masklet(
                video_id, object_id, num_frames=len(labels), frames=frames, prompts=(prompt,),
                width_px=labels.shape[2], height_px=labels.shape[1],
            )
        )  # fmt: skip
    return found


def _frame(index: int, mask: NDArray[np.bool_]) -> MaskletFrame:
    return MaskletFrame(
        frame_index=index, pts_ns=index * 40_000_000,
        rle=rle.encode(mask) if mask.any() else None, box_xyxy=rle.box_of(mask),
        area_px=int(mask.sum()), object_score=1.0, predicted_iou=0.9, fragments=int(mask.any()),
    )  # fmt: skip
