"""Shots to track: moving pictures, and every kind of prompt for them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pvtt_flow.core import rle
from pvtt_flow.models.tracker import PromptedShot
from pvtt_flow.training.render.clip import random_clip
from pvtt_flow.types import Frame, Prompt

HEIGHT_PX, WIDTH_PX = 72, 96
# Labels of clicks.
ON, OFF = 1, 0
_SQUARE_PX = 24
_RENDERED_AREA_PX = 72 * 72


@dataclass(frozen=True, eq=False)
class Shot:
    """Frames, and what is asked on them by position."""

    frames: Sequence[Frame]
    prompts: Mapping[int, Sequence[Prompt]] = field(default_factory=dict)

    @property
    def display_px(self) -> tuple[int, int]:
        height, width, _ = self.frames[0].rgb.shape
        return height, width

    @property
    def clip(self) -> PromptedShot:
        return PromptedShot(
            read=lambda start, stop: iter(self.frames[start:stop]),
            prompts=self.prompts,
            prompt_frames={position: self.frames[position] for position in self.prompts},
        )


def shot(num_frames: int, *placed: tuple[int, Prompt], seed: int = 3) -> Shot:
    """A bright square that moves over noise, with prompts at their positions."""
    rng = np.random.default_rng(seed)
    ground = rng.integers(0, 90, (HEIGHT_PX, WIDTH_PX, 3), np.uint8)
    return Shot([frame(i, _picture(ground, i)) for i in range(num_frames)], by_position(placed))


def rendered(seed: int, num_frames: int, *, event: str = "none") -> tuple[Shot, NDArray[np.bool_]]:
    """A rendered clip boxed on its first frame, and its target's true masks (T, H, W)."""
    clip = random_clip(
        seed,
        num_frames,
        num_products=1,
        event=event,  # type: ignore[arg-type]
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
    """The moving square's box."""
    left = float(_left(position))
    return left, 20.0, left + _SQUARE_PX, 20.0 + _SQUARE_PX


def box(object_id: int, *xyxy: float) -> Prompt:
    return Prompt(object_id=object_id, frame_index=0, box_xyxy=xyxy)


def square_box(object_id: int, position: int) -> tuple[int, Prompt]:
    """Where the square is, as a box, at its position."""
    return position, box(object_id, *corners(position))


def clicks(object_id: int, *xyl: tuple[float, float, int], correction: bool = False) -> Prompt:
    """Points (x, y, label)."""
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
    """The square's own mask, or its corner."""
    left, top, _, _ = (int(side) for side in corners(position))
    mask = np.zeros((HEIGHT_PX, WIDTH_PX), np.bool_)
    mask[top : top + side_px, left : left + side_px] = True
    return Prompt(object_id=object_id, frame_index=0, mask_rle=rle.encode(mask))


def _left(position: int) -> int:
    span = WIDTH_PX - _SQUARE_PX
    turn = (8 + 2 * position) % (2 * span)
    return min(turn, 2 * span - turn)


def _picture(ground: NDArray[np.uint8], position: int) -> NDArray[np.uint8]:
    rgb = ground.copy()
    left, top, right, low = (int(side) for side in corners(position))
    rgb[top:low, left:right] = (230, 190, 40)
    return rgb


def frame(position: int, rgb: NDArray[np.uint8]) -> Frame:
    # Indices and times that are no positions: every third frame of a video is processed.
    return Frame(3 * position, position * 10**8, rgb)
