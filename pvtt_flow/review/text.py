"""Text on a picture, one line at a time, cut to the available width."""

from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

Color = tuple[int, int, int]
Weight = Literal["regular", "bold"]

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_THICKNESS: dict[Weight, int] = {"regular": 1, "bold": 2}


def write(
    canvas: NDArray[np.uint8],
    text: str,
    corner_xy: tuple[int, int],
    *,
    color: Color,
    size: float = 0.5,
    weight: Weight = "regular",
) -> int:
    """Write `text` into an RGB canvas, in place; its baseline starts at `corner_xy`.

    Text that does not fit is cut and ends in dots. Returns the x at which it ends.
    """
    x, y = corner_xy
    thickness = _THICKNESS[weight]
    fitting = _cut(text, canvas.shape[1] - x, size, thickness)
    cv2.putText(canvas, fitting, (x, y), _FONT, size, color, thickness, cv2.LINE_AA)
    return x + _width_px(fitting, size, thickness)


def _cut(text: str, room_px: int, size: float, thickness: int) -> str:
    if _width_px(text, size, thickness) <= room_px:
        return text
    while text and _width_px(f"{text}...", size, thickness) > room_px:
        text = text[:-1]
    return f"{text}..."


def _width_px(text: str, size: float, thickness: int) -> int:
    (width_px, _), _ = cv2.getTextSize(text, _FONT, size, thickness)
    return int(width_px)
