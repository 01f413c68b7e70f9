"""Small pictures of made-up scenes, and what comes between two of them."""

import cv2
import numpy as np
from numpy.typing import NDArray

WIDTH_PX, HEIGHT_PX = 128, 72
Pictures = list[NDArray[np.uint8]]


def scene(
    seed: int, num_frames: int, *, pan_px: float = 0.3, grain: float = 2.0, white: bool = False
) -> Pictures:
    """A camera that pans over a place, `pan_px` a frame, and something that moves in it.

    On white there is nothing but the thing.
    """
    rng = np.random.default_rng(seed)
    length_px = WIDTH_PX + int(abs(pan_px) * num_frames) + 2
    coarse = rng.integers(0, 256, (5, 3 + length_px // 16, 3)).astype(np.float32)
    fine = rng.normal(0, 25, (18, length_px // 4, 1)).astype(np.float32)
    place = _enlarged(coarse, length_px) + _enlarged(fine, length_px)[..., None]
    thing = rng.integers(0, 200, (6, 5, 3)).astype(np.float32)
    thing = cv2.resize(thing, (30, 36), interpolation=cv2.INTER_NEAREST)
    pictures = []
    for t in range(num_frames):
        moved = np.float32([[1, 0, -abs(pan_px) * t], [0, 1, 0]])
        picture = cv2.warpAffine(place, moved, (WIDTH_PX, HEIGHT_PX))
        picture = np.full_like(picture, 245) if white else picture
        x, y = 20 + 40 * (seed % 2) + t // 3, 12 + 8 * (seed % 3)
        picture[y : y + 36, x % 98 : x % 98 + 30] = thing
        picture += rng.normal(0, grain, picture.shape)
        pictures.append(np.clip(picture, 0, 255).astype(np.uint8))
    return pictures


def dissolve(before: Pictures, after: Pictures, num_mixed: int) -> Pictures:
    """The one, then `num_mixed` mixtures of its last with the other's first, then the other."""
    shares = [(i + 1) / (num_mixed + 1) for i in range(num_mixed)]
    pairs = zip(before[-num_mixed:], after[:num_mixed], shares, strict=True)
    mixed = [((1 - a) * one + a * other).astype(np.uint8) for one, other, a in pairs]
    return before[:-num_mixed] + mixed + after[num_mixed:]


def fade(before: Pictures, after: Pictures, num_mixed: int, num_black: int = 0) -> Pictures:
    """Through black: `num_mixed` frames down, `num_black` frames, and as many up."""
    black = [np.zeros_like(before[0])] * (num_mixed + num_black + num_mixed)
    return dissolve(dissolve(before, black, num_mixed), after, num_mixed)


def _enlarged(small: NDArray[np.float32], length_px: int) -> NDArray[np.float32]:
    return np.asarray(cv2.resize(small, (length_px, HEIGHT_PX), interpolation=cv2.INTER_CUBIC))
