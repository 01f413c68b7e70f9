"""Random product textures: plain, striped, spotted, noisy, with labels, letters and logos.

All are uint8 (S, S, 3) RGB; palettes come from the same generator, so a seed fixes them.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

# uint8 (H, W, 3) RGB; OpenCV's stubs would return a wider type.
Image = NDArray[Any]
Rng = np.random.Generator
FONTS = (
    cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_TRIPLEX,
    cv2.FONT_HERSHEY_SCRIPT_COMPLEX, cv2.FONT_HERSHEY_COMPLEX,
)  # fmt: skip
LETTERS = np.array(list("ABCDEFGHKLMNOPRSTUVXYZaeionrst0123456789"))


def random_color(rng: Rng, *, low: int = 15, high: int = 245) -> tuple[int, int, int]:
    """Choose a color (red, green, blue): half of them vivid, the others muted or gray."""
    saturation = float(rng.choice([rng.uniform(0.5, 1), rng.uniform(0, 0.5)]))
    hsv = np.array([[[rng.integers(180), 255 * saturation, rng.integers(low, high)]]], np.uint8)
    red, green, blue = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)[0, 0].tolist()
    return red, green, blue


def noise(rng: Rng, height_px: int, width_px: int, *, coarse: int = 3) -> NDArray[np.float32]:
    """Return fractal noise, float32 (H, W) in [0, 1]."""
    total = np.zeros((height_px, width_px), np.float32)
    for octave in range(4):
        cells = coarse * 2**octave
        seed = rng.random((cells, max(1, cells * width_px // height_px)), np.float32)
        layer = cv2.resize(seed, (width_px, height_px), interpolation=cv2.INTER_CUBIC)
        total += layer / 2**octave
    low, high = float(total.min()), float(total.max())
    return (total - low) / (high - low + 1e-6)


def blend_colors(rng: Rng, amount: NDArray[np.float32]) -> Image:
    """Mix two random colors by amount (H, W) in [0, 1]."""
    first, second = np.array(random_color(rng)), np.array(random_color(rng))
    mixed = first + (second - first) * amount[..., None]
    return np.asarray(mixed, np.uint8)


def random_texture(rng: Rng, side_px: int = 96) -> Image:
    """Draw the wrapping of a product."""
    image = BASES[int(rng.integers(len(BASES)))](rng, side_px)
    for _ in range(int(rng.choice([0, 1, 2], p=[0.35, 0.4, 0.25]))):
        _label(rng, image)
    if rng.random() < 0.3:
        _logo(rng, image)
    grain = rng.normal(0, rng.uniform(0, 6), image.shape)
    return np.clip(image + grain, 0, 255).astype(np.uint8)


def plain_texture(rng: Rng, side_px: int = 96) -> Image:
    """Draw one color, slightly uneven: lids, handles, plastic."""
    image = np.full((side_px, side_px, 3), random_color(rng), np.float32)
    uneven = 0.92 + 0.16 * noise(rng, side_px, side_px)
    return np.clip(image * uneven[..., None], 0, 255).astype(np.uint8)


def _gradient(rng: Rng, side_px: int) -> Image:
    ramp = np.linspace(0, 1, side_px, dtype=np.float32)
    return blend_colors(rng, np.broadcast_to(ramp[:, None], (side_px, side_px)))


def _stripes(rng: Rng, side_px: int) -> Image:
    y, x = np.mgrid[:side_px, :side_px] / side_px
    angle = rng.choice([0, np.pi / 2, rng.uniform(0, np.pi)])
    wave = np.sin(2 * np.pi * rng.uniform(1.5, 7) * (x * np.cos(angle) + y * np.sin(angle)))
    return blend_colors(rng, (wave > rng.uniform(-0.6, 0.6)).astype(np.float32))


def _checks(rng: Rng, side_px: int) -> Image:
    y, x = np.mgrid[:side_px, :side_px] * int(rng.integers(2, 9)) // side_px
    return blend_colors(rng, ((x + y) % 2).astype(np.float32))


def _spots(rng: Rng, side_px: int) -> Image:
    image = plain_texture(rng, side_px)
    for _ in range(int(rng.integers(5, 30))):
        position = rng.integers(0, side_px, 2).tolist()
        radius_px = int(rng.integers(2, side_px // 7))
        cv2.circle(image, position, radius_px, random_color(rng), -1, cv2.LINE_AA)
    return image


def _marble(rng: Rng, side_px: int) -> Image:
    amount = noise(rng, side_px, side_px, coarse=int(rng.integers(2, 6)))
    return blend_colors(rng, 0.5 + 0.5 * np.sin(amount * rng.uniform(3, 20)))


def _bands(rng: Rng, side_px: int) -> Image:
    image = plain_texture(rng, side_px)
    for _ in range(int(rng.integers(1, 4))):
        top, tall = int(rng.integers(side_px)), int(rng.integers(4, side_px // 3))
        image[top : top + tall] = random_color(rng)
    return image


BASES = (plain_texture, plain_texture, _gradient, _stripes, _checks, _spots, _marble, _bands)


def _label(rng: Rng, image: Image) -> None:
    """Draw a printed panel with lines of letters, in place."""
    side = len(image)
    left, top = rng.integers(0, side // 2, 2).tolist()
    wide, tall = rng.integers(side // 4, side * 3 // 4, 2).tolist()
    cv2.rectangle(image, (left, top), (left + wide, top + tall), random_color(rng), -1)
    ink = random_color(rng)
    font = int(rng.choice(FONTS))
    for line in range(int(rng.integers(1, 4))):
        word = "".join(rng.choice(LETTERS, int(rng.integers(2, 8))))
        scale = float(rng.uniform(0.3, 1.0)) * side / 96
        position = (left + 3, top + int((12 + 20 * line) * side / 96))
        cv2.putText(image, word, position, font, scale, ink, max(1, side // 80), cv2.LINE_AA)


def _logo(rng: Rng, image: Image) -> None:
    """Draw a filled emblem, in place."""
    side = len(image)
    center = rng.integers(side // 4, 3 * side // 4, 2)
    radius_px = side * rng.uniform(0.08, 0.25)
    corners = int(rng.integers(3, 12))
    angle = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    reach = radius_px * (1 - rng.uniform(0, 0.6) * (np.arange(corners) % 2))
    points = center + np.stack([np.cos(angle), np.sin(angle)], 1) * reach[:, None]
    cv2.fillPoly(image, [points.astype(np.int32)], random_color(rng), cv2.LINE_AA)
