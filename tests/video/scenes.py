"""Thumbnails of synthetic scenes, and transitions between two scenes."""

import cv2
import numpy as np
from numpy.typing import NDArray

WIDTH_PX, HEIGHT_PX = 128, 72
Images = list[NDArray[np.uint8]]


def scene(
    seed: int, num_frames: int, *, pan_px: float = 0.3, grain: float = 2.0, white: bool = False
) -> Images:
    """Return thumbnails of a moving object before a camera that pans by `pan_px` per frame.

    With `white`, the background is white.
    """
    rng = np.random.default_rng(seed)
    length_px = WIDTH_PX + int(abs(pan_px) * num_frames) + 2
    coarse = rng.integers(0, 256, (5, 3 + length_px // 16, 3)).astype(np.float32)
    fine = rng.normal(0, 25, (18, length_px // 4, 1)).astype(np.float32)
    place = _enlarge(coarse, length_px) + _enlarge(fine, length_px)[..., None]
    thing = rng.integers(0, 200, (6, 5, 3)).astype(np.float32)
    thing = np.asarray(cv2.resize(thing, (30, 36), interpolation=cv2.INTER_NEAREST), np.float32)
    images = []
    for t in range(num_frames):
        moved = np.array([[1, 0, -abs(pan_px) * t], [0, 1, 0]], np.float32)
        image = np.asarray(cv2.warpAffine(place, moved, (WIDTH_PX, HEIGHT_PX)), np.float32)
        image = np.full_like(image, 245) if white else image
        x, y = 20 + 40 * (seed % 2) + t // 3, 12 + 8 * (seed % 3)
        image[y : y + 36, x % 98 : x % 98 + 30] = thing
        image += rng.normal(0, grain, image.shape)
        images.append(np.clip(image, 0, 255).astype(np.uint8))
    return images


def dissolve(before: Images, after: Images, num_mixed: int) -> Images:
    """Return `before` and `after`, mixed over `num_mixed` frames where they meet."""
    shares = [(i + 1) / (num_mixed + 1) for i in range(num_mixed)]
    pairs = zip(before[-num_mixed:], after[:num_mixed], shares, strict=True)
    mixed = [((1 - a) * first + a * second).astype(np.uint8) for first, second, a in pairs]
    return before[:-num_mixed] + mixed + after[num_mixed:]


def fade(before: Images, after: Images, num_mixed: int, num_black: int = 0) -> Images:
    """Fade out over `num_mixed` frames, stay black for `num_black`, fade in over `num_mixed`."""
    black = [np.zeros_like(before[0])] * (num_mixed + num_black + num_mixed)
    return dissolve(dissolve(before, black, num_mixed), after, num_mixed)


def _enlarge(small: NDArray[np.float32], length_px: int) -> NDArray[np.float32]:
    return np.asarray(cv2.resize(small, (length_px, HEIGHT_PX), interpolation=cv2.INTER_CUBIC))
