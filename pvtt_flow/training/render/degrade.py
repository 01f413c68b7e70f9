"""Degradation of a clip by camera and codec: exposure, color, blur, noise, compression."""

from dataclasses import dataclass

import cv2
import numpy as np

from pvtt_flow.training.render.mesh import Array
from pvtt_flow.training.render.motion import wander
from pvtt_flow.training.render.texture import Image, Rng


@dataclass(frozen=True)
class Lens:
    """Camera of a clip; arrays have a value for each frame."""

    gain: Array
    """(T, 3), the factor on each channel."""
    gamma: float
    blur_px: float
    """Sigma for a frame 150 px high."""
    noise: float
    """Standard deviation in gray levels."""
    jpeg_quality: int | None


def random_lens(rng: Rng, ticks: Array) -> Lens:
    """Choose a camera: phone, webcam or studio."""
    exposure = np.exp(wander(rng, ticks, 0.01) + rng.normal(0, 0.15))
    flicker = 1 + rng.normal(0, rng.choice([0, 0.02]), len(ticks))
    cast = np.exp(rng.normal(0, 0.06, 3))
    return Lens(
        (exposure * flicker)[:, None] * cast,
        float(np.exp(rng.normal(0, 0.15))),
        float(rng.choice([0, rng.uniform(0.3, 1.2)], p=[0.6, 0.4])),
        float(rng.choice([0, rng.uniform(1, 9)], p=[0.3, 0.7])),
        int(rng.integers(30, 95)) if rng.random() < 0.6 else None,
    )


def degrade(rng: Rng, image: Image, lens: Lens, frame_index: int) -> Image:
    """Return the frame as the camera and its codec give it."""
    if lens.blur_px:
        image = cv2.GaussianBlur(image, (0, 0), lens.blur_px * len(image) / 150)
    levels = (np.arange(256) / 255) ** lens.gamma
    table = np.clip(255 * levels[:, None] * lens.gain[frame_index], 0, 255).astype(np.uint8)
    image = cv2.LUT(image, table[:, None])
    if lens.noise:
        grain = lens.noise * rng.standard_normal(image.shape, np.float32)
        image = np.clip(image + grain, 0, 255).astype(np.uint8)
    if lens.jpeg_quality is not None:
        coded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, lens.jpeg_quality])[1]
        image = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR))
    return image
