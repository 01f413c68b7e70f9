"""Views of skies: pictures of all directions (equirectangular, float EXR) as a camera sees them."""

import base64
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from pvtt_flow.training.render.texture import Image, Rng

# A bright lamp has thousands of times the light of a wall.
_BRIGHTEST = 1e3


@dataclass(frozen=True)
class Sky:
    """Light from all directions."""

    light: NDArray[np.float32]
    """float32 (H, 2 H, 3) RGB, linear: longitude from left to right, the zenith in row 0."""


def exr_of(path: Path) -> bytes:
    """Read the EXR picture of a JavaScript module that has it as a `data:` URL."""
    module = path.read_text()
    return base64.b64decode(module.partition("base64,")[2].rstrip("\n;").strip("'\""))


def read_sky(path: Path) -> Sky:
    """Read the picture of such a module."""
    (frame,) = av.CodecContext.create("exr", "r").decode(av.Packet(exr_of(path)))
    light = frame.reformat(format="gbrpf32le").to_ndarray()
    return Sky(np.clip(np.nan_to_num(light), 0, _BRIGHTEST).astype(np.float32))


def random_view(rng: Rng, sky: Sky, height_px: int, width_px: int) -> Image:
    """Return what a camera sees that looks about level in a random direction."""
    tall = np.tan(np.radians(rng.uniform(40, 75)) / 2)
    yaw, pitch = rng.uniform(-np.pi, np.pi), rng.normal(-0.15, 0.25)
    y, x = np.mgrid[:height_px, :width_px].astype(np.float32)
    right = (x - width_px / 2) / (height_px / 2) * tall
    down = (y - height_px / 2) / (height_px / 2) * tall
    up, ahead = -down * np.cos(pitch) + np.sin(pitch), np.cos(pitch) + down * np.sin(pitch)
    longitude = yaw + np.arctan2(right, ahead)
    latitude = np.arctan2(up, np.hypot(right, ahead))
    rows, columns = sky.light.shape[:2]
    at_x = (longitude / (2 * np.pi) % 1 * columns).astype(np.float32)
    at_y = ((0.5 - latitude / np.pi) * rows).astype(np.float32)
    # One more column, since longitude goes round.
    round_trip = np.concatenate([sky.light, sky.light[:, :1]], axis=1)
    seen = cv2.remap(round_trip, at_x, at_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return _expose(rng, seen)


def _expose(rng: Rng, light: Image) -> Image:
    """Return the picture of a film: the median becomes a middle gray, and lamps become white."""
    exposure = rng.uniform(0.3, 0.9) / max(float(np.median(light)), 1e-4)
    return np.asarray(255 * (1 - np.exp(-light * exposure)) ** (1 / 2.2), np.uint8)
