"""Shots to track: moving images, and each kind of prompt for them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pvtt_flow.core import rle
from pvtt_flow.models.tracker import PromptedShot
from pvtt_flow.training.render.clip import random_clip
from pvtt_flow.training.render.scene import Event
from pvtt_flow.types import Frame, Prompt

HEIGHT_PX, WIDTH_PX = 72, 96
# Labels of points.
ON, OFF = 1, 0
_SQUARE_PX = 24
_RENDERED_AREA_PX = 72 * 72


@dataclass(frozen=True, eq=False)
class Shot:
    """Frames, and prompts by position."""

    frames: Sequence[Frame]
    prompts: Mapping[int, Sequence[Prompt]] = field(default_factory=dict)

    @property
    def display_px(self) -> tuple[int, int]:
        height, width, _ = self.frames[0].rgb.shape
        return height, width

    @property
    def prompted(self) -> PromptedShot:
        return PromptedShot(
            read=lambda start, stop: iter(self.frames[start:stop]),
            prompts=self.prompts,
            prompt_frames={position: self.frames[position] for position in self.prompts},
        )


def shot(num_frames: int, *placed: tuple[int, Prompt], seed: int = 3) -> Shot:
    """Make a shot of a bright square that moves over noise."""
    rng = np.random.default_rng(seed)
    background = rng.integers(0, 90, (HEIGHT_PX, WIDTH_PX, 3), np.uint8)
    return Shot([frame(i, _draw(background, i)) for i in range(num_frames)], by_position(placed))


def rendered(
    seed: int, num_frames: int, *, event: Event = "none"
) -> tuple[Shot, NDArray[np.bool_]]:
    """Render a shot with a box on its first frame; also return the true masks, bool (T, H, W)."""
    clip = random_clip(
        seed,
        num_frames,
        num_products=1,
        event=event,
        area_px=_RENDERED_AREA_PX,
    )
    first = tuple(float(side) for side in clip.boxes_xyxy[0, clip.target])
    frames = [frame(i, rgb) for i, rgb in enumerate(clip.frames)]
    return Shot(frames, {0: [box(0, *first)]}), clip.masks[:, clip.target]


def by_position(placed: Sequence[tuple[int, Prompt]]) -> dict[int, list[Prompt]]:
    prompts: dict[int, list[Prompt]] = {}
    for position, prompt in placed:
        prompts.setdefault(position, []).append(prompt)
    return prompts


def corners(position: int) -> tuple[float, float, float, float]:
    """Return the box of the moving square, xyxy."""
    left = float(_left(position))
    return left, 20.0, left + _SQUARE_PX, 20.0 + _SQUARE_PX


def box(object_id: int, *xyxy: float) -> Prompt:
    return Prompt(object_id=object_id, frame_index=0, box_xyxy=xyxy)


def square_box(object_id: int, position: int) -> tuple[int, Prompt]:
    """Return a position and a box prompt around the square there."""
    return position, box(object_id, *corners(position))


def clicks(object_id: int, *xyl: tuple[float, float, int], correction: bool = False) -> Prompt:
    """Return a prompt of points (x, y, label)."""
    return Prompt(
        object_id=object_id,
        frame_index=0,
        points_xy=tuple((x, y) for x, y, _ in xyl),
        point_labels=tuple(label for _, _, label in xyl),
        correction=correction,
    )


def box_and_click(object_id: int, position: int) -> Prompt:
    left, top, right, low = corners(position)
    return Prompt(
        object_id=object_id,
        frame_index=0,
        box_xyxy=(left, top, right, low),
        points_xy=((left + 7, top + 9),),
        point_labels=(1,),
    )


def mask_of(object_id: int, position: int, side_px: int = _SQUARE_PX) -> Prompt:
    """Return the square's mask, or a corner of it, as a prompt."""
    left, top, _, _ = (int(side) for side in corners(position))
    mask = np.zeros((HEIGHT_PX, WIDTH_PX), np.bool_)
    mask[top : top + side_px, left : left + side_px] = True
    return Prompt(object_id=object_id, frame_index=0, mask_rle=rle.encode(mask))


def _left(position: int) -> int:
    span = WIDTH_PX - _SQUARE_PX
    distance = (8 + 2 * position) % (2 * span)
    return min(distance, 2 * span - distance)


def _draw(background: NDArray[np.uint8], position: int) -> NDArray[np.uint8]:
    rgb = background.copy()
    left, top, right, low = (int(side) for side in corners(position))
    rgb[top:low, left:right] = (230, 190, 40)
    return rgb


def frame(position: int, rgb: NDArray[np.uint8]) -> Frame:
    # Indices differ from positions: each third frame of the video is processed.
    return Frame(3 * position, position * 10**8, rgb)
