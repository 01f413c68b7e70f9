"""Static background of the products: walls, tables, wood, tiles, noise, clutter.

Each clip has one canvas, larger than the frame; the camera shows parts of it.
"""

import cv2
import numpy as np

from pvtt_flow.training.render.texture import Image, Rng, blend_colors, noise, random_color


def random_background(rng: Rng, height_px: int, width_px: int, far: Image | None = None) -> Image:
    """Draw a canvas, uint8 (H, W, 3) RGB; `far` is what is behind the table and the clutter."""
    image = random_surface(rng, height_px, width_px) if far is None else far.copy()
    if rng.random() < 0.5:
        _clutter(rng, image, int(rng.integers(1, 9)))
    if rng.random() < 0.6:
        horizon = int(height_px * rng.uniform(0.35, 0.75))
        table = random_surface(rng, height_px - horizon, width_px)
        image[horizon:] = table
        shade = np.linspace(rng.uniform(0.55, 1), 1, height_px - horizon)[:, None, None]
        image[horizon:] = (image[horizon:] * shade).astype(np.uint8)
    sigma_px = float(rng.choice([0, 1, 3])) * max(height_px, width_px) / 300
    if sigma_px:
        image = cv2.GaussianBlur(image, (0, 0), sigma_px)
    return image


def random_surface(rng: Rng, height_px: int, width_px: int) -> Image:
    """Draw a surface of one material."""
    draw = SURFACES[int(rng.integers(len(SURFACES)))]
    return draw(rng, height_px, width_px)


def _gradient(rng: Rng, height_px: int, width_px: int) -> Image:
    y, x = np.mgrid[:height_px, :width_px].astype(np.float32)
    angle = rng.uniform(0, 2 * np.pi)
    ramp = x / width_px * np.cos(angle) + y / height_px * np.sin(angle)
    return blend_colors(rng, (ramp - ramp.min()) / max(float(np.ptp(ramp)), 1e-6))


def _studio(rng: Rng, height_px: int, width_px: int) -> Image:
    """Draw a backdrop lit in the middle."""
    y, x = np.mgrid[:height_px, :width_px].astype(np.float32)
    far = np.hypot(x / width_px - rng.uniform(0.3, 0.7), y / height_px - rng.uniform(0.3, 0.7))
    lit = np.array(random_color(rng, low=120)) * (1.1 - rng.uniform(0.2, 0.9) * far[..., None])
    return np.asarray(np.clip(lit, 0, 255), np.uint8)


def _clouds(rng: Rng, height_px: int, width_px: int) -> Image:
    return blend_colors(rng, noise(rng, height_px, width_px, coarse=int(rng.integers(2, 12))))


def _wood(rng: Rng, height_px: int, width_px: int) -> Image:
    along = noise(rng, height_px, max(8, width_px // 8), coarse=int(rng.integers(6, 16)))
    grain = cv2.resize(along, (width_px, height_px), interpolation=cv2.INTER_CUBIC)
    ramp = 0.5 + 0.5 * np.sin(grain * rng.uniform(8, 30))
    dark = np.array([rng.integers(50, 120), rng.integers(30, 80), rng.integers(10, 50)])
    light = dark + np.array([90, 75, 55]) * rng.uniform(0.4, 1.1)
    image = dark + (light - dark) * ramp[..., None]
    planks = int(rng.integers(2, 8))
    for edge in np.linspace(0, height_px, planks + 1)[1:-1].astype(int):
        image[edge : edge + max(1, height_px // 150)] *= 0.5
    return np.asarray(np.clip(image, 0, 255), np.uint8)


def _tiles(rng: Rng, height_px: int, width_px: int) -> Image:
    side_px = int(height_px / rng.uniform(3, 12))
    y, x = np.mgrid[:height_px, :width_px]
    shift = (y // side_px % 2) * (side_px // 2) * int(rng.integers(2))
    wide_px = int(side_px * rng.choice([1, 2]))
    joint = ((y % side_px) < 2) | (((x + shift) % wide_px) < 2)
    uneven = rng.uniform(0.85, 1.0, (64, 64))[y // side_px % 64, (x + shift) // wide_px % 64]
    image = np.where(
        joint[..., None], random_color(rng), np.array(random_color(rng)) * uneven[..., None]
    )
    return image.astype(np.uint8)


def _cloth(rng: Rng, height_px: int, width_px: int) -> Image:
    y, x = np.mgrid[:height_px, :width_px] / height_px
    pitch = rng.uniform(10, 40)
    weave = np.sign(np.sin(x * pitch)) + np.sign(np.sin(y * pitch * rng.choice([0, 1])))
    folds = noise(rng, height_px, width_px, coarse=2)
    return blend_colors(rng, np.clip(0.3 + 0.12 * weave + 0.4 * folds, 0, 1).astype(np.float32))


SURFACES = (_gradient, _studio, _studio, _clouds, _wood, _tiles, _cloth)


def _clutter(rng: Rng, image: Image, count: int) -> None:
    """Draw flat objects in place: frames, windows, strips, lights, foliage."""
    height_px, width_px = image.shape[:2]
    for _ in range(count):
        position = rng.integers(0, (width_px, height_px))
        size = (rng.uniform(0.03, 0.25, 2) * height_px).astype(int) + 2
        kind = rng.random()
        if kind < 0.45:
            cv2.rectangle(
                image, position.tolist(), (position + size).tolist(), random_color(rng), -1
            )
            cv2.rectangle(
                image, position.tolist(), (position + size).tolist(), random_color(rng), 2
            )
        elif kind < 0.65:
            cv2.circle(
                image, position.tolist(), int(size[0]) // 2 + 1, random_color(rng), -1, cv2.LINE_AA
            )
        elif kind < 0.85:
            far = rng.integers(0, (width_px, height_px)).tolist()
            cv2.line(
                image,
                position.tolist(),
                far,
                random_color(rng),
                int(rng.integers(1, 8)),
                cv2.LINE_AA,
            )
        else:
            _leaves(rng, image, position.tolist(), int(size.max()))


def _leaves(rng: Rng, image: Image, position: list[int], reach_px: int) -> None:
    green = np.array([rng.integers(20, 110), rng.integers(80, 180), rng.integers(20, 90)])
    for _ in range(int(rng.integers(4, 14))):
        angle = float(rng.uniform(0, 360))
        tip = [
            int(position[0] + reach_px * 0.5 * np.cos(np.deg2rad(angle))),
            int(position[1] + reach_px * 0.5 * np.sin(np.deg2rad(angle))),
        ]
        axes = (reach_px // 2 + 1, reach_px // 8 + 1)
        tint = np.clip(green * rng.uniform(0.6, 1.3), 0, 255).tolist()
        cv2.ellipse(image, tip, axes, angle, 0, 360, tint, -1, cv2.LINE_AA)
