"""Draws a scene into frames and exact visible masks."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pvtt_flow.training.render.degrade import degrade
from pvtt_flow.training.render.mesh import Array
from pvtt_flow.training.render.occluder import Hand, draw_cutout, draw_hand
from pvtt_flow.training.render.raster import Light, Sprite, draw_mesh
from pvtt_flow.training.render.scene import CANVAS_ZOOM, Cover, Event, Scene, scene
from pvtt_flow.training.render.texture import Image, Rng

ASPECTS = (16 / 9, 16 / 9, 4 / 3, 1.0, 3 / 4, 9 / 16, 9 / 16)


@dataclass(frozen=True)
class RenderedClip:
    """Rendered clip with its ground truth."""

    frames: NDArray[np.uint8]
    """uint8 (T, H, W, 3), RGB."""
    labels: NDArray[np.uint8]
    """uint8 (T, H, W): 0 is no product, n is product n - 1 where it is visible."""
    num_products: int
    target: int
    """The product that a single-object prompt asks for."""

    @property
    def masks(self) -> NDArray[np.bool_]:
        """bool (T, N, H, W), the visible part of each product."""
        numbers = np.arange(1, self.num_products + 1, dtype=np.uint8)
        return np.asarray(self.labels[:, None] == numbers[None, :, None, None])

    @property
    def boxes_xyxy(self) -> NDArray[np.float32]:
        """float32 (T, N, 4) in pixels, exclusive max; NaN where a product is not visible."""
        masks = self.masks
        boxes = np.full((*masks.shape[:2], 4), np.nan, np.float32)
        for at in np.ndindex(*masks.shape[:2]):
            y, x = np.nonzero(masks[at])
            if len(x):
                boxes[at] = x.min(), y.min(), x.max() + 1, y.max() + 1
        return boxes


def random_clip(
    seed: int, num_frames: int, *, num_products: int | None = None, event: Event | None = None,
    stride: float | None = None, area_px: int = 150 * 150,
) -> RenderedClip:  # fmt: skip
    """The clip of a seed: aspect, cast, motion and camera all drawn from it."""
    rng = np.random.default_rng(seed)
    aspect = ASPECTS[int(rng.integers(len(ASPECTS)))]
    height_px = round((area_px / aspect) ** 0.5)
    width_px = round(height_px * aspect)
    chosen = int(rng.choice([1, 2, 3, 4, 5], p=[0.25, 0.25, 0.2, 0.2, 0.1]))
    pace = float(rng.choice([1, 1, 2]))
    setting = scene(
        rng, num_frames, height_px, width_px,
        num_products=chosen if num_products is None else num_products,
        event=event, stride=pace if stride is None else stride,
    )  # fmt: skip
    return draw(rng, setting)


def draw(rng: Rng, setting: Scene, *, supersample: int = 2) -> RenderedClip:
    """Every frame of a scene."""
    drawn = [_frame(rng, setting, t, supersample) for t in range(len(setting.camera))]
    frames, labels = zip(*drawn, strict=True)
    return RenderedClip(np.stack(frames), np.stack(labels), len(setting.products), setting.target)


def _frame(rng: Rng, setting: Scene, t: int, supersample: int) -> tuple[Image, NDArray[np.uint8]]:
    height_px, width_px = setting.height_px, setting.width_px
    size_px = np.array([width_px, height_px])
    view = _view(setting, t)
    image = cv2.warpAffine(
        setting.canvas, view @ _canvas_to_frame(size_px), (width_px, height_px),
        flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT,
    )  # fmt: skip
    labels = np.zeros((height_px, width_px), np.uint8)
    light = _swayed(setting.light, float(setting.sway[t]))
    zoom = float(setting.camera[t, 2])
    for index, product in enumerate(setting.products):
        held = [cover for cover in setting.covers if cover.holds == index]
        for cover in held:
            _lay(image, labels, _cover(cover, setting, t, view, fingers=False), 0)
        centre = view[:, :2] @ (product.path.centre[t] * size_px) + view[:, 2]
        radius_px = float(product.path.radius[t]) * min(size_px) * zoom
        sprite = draw_mesh(
            product.mesh, product.skin, product.path.rotation[t], centre, radius_px, light,
            supersample=supersample,
        )  # fmt: skip
        if sprite is not None:
            _cast(image, sprite, light, setting.shadow, radius_px)
            _lay(image, labels, sprite, index + 1)
        for cover in held:
            _lay(image, labels, _cover(cover, setting, t, view, arm=False), 0)
    for cover in setting.covers:
        if cover.holds is None:
            _lay(image, labels, _cover(cover, setting, t, view), 0)
    return degrade(rng, image, setting.lens, t), labels


def _canvas_to_frame(size_px: Array) -> Array:
    """(3, 3): the canvas's middle is the frame's middle."""
    margin = size_px * (CANVAS_ZOOM - 1) / 2
    return np.array([[1, 0, -margin[0]], [0, 1, -margin[1]], [0, 0, 1.0]])


def _view(setting: Scene, t: int) -> Array:
    """(2, 3): world pixels to frame pixels as the camera pans, zooms and rolls."""
    shift_x, shift_y, zoom, roll = setting.camera[t]
    size_px = np.array([setting.width_px, setting.height_px])
    middle = size_px / 2
    linear = zoom * np.array([[np.cos(roll), -np.sin(roll)], [np.sin(roll), np.cos(roll)]])
    offset = middle - linear @ middle + np.array([shift_x, shift_y]) * size_px
    return np.hstack([linear, offset[:, None]])


def _swayed(light: Light, angle: float) -> Light:
    turn = np.array(
        [[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]]
    )
    return Light(turn @ light.direction, light.ambient, light.diffuse)


def _cover(
    cover: Cover, setting: Scene, t: int, view: Array, *, arm: bool = True, fingers: bool = True
) -> Sprite:
    size = setting.height_px, setting.width_px
    centre = view[:, :2] @ (cover.centre[t] * [size[1], size[0]]) + view[:, 2]
    radius_px = float(cover.radius[t]) * min(size) * float(setting.camera[t, 2])
    if isinstance(cover.what, Hand):
        return draw_hand(cover.what, centre, radius_px, *size, arm=arm, fingers=fingers)
    return draw_cutout(cover.what, centre, radius_px, float(cover.angle[t]), *size)


def _window(image: Image, sprite: Sprite) -> tuple[tuple[slice, slice], tuple[slice, slice]] | None:
    """Return the slices of the image and of the sprite in which they overlap."""
    height, width = image.shape[:2]
    tall, wide = sprite.alpha.shape
    top, left = max(sprite.top_px, 0), max(sprite.left_px, 0)
    low, right = min(sprite.top_px + tall, height), min(sprite.left_px + wide, width)
    if top >= low or left >= right:
        return None
    there = slice(top, low), slice(left, right)
    return there, (
        slice(top - sprite.top_px, low - sprite.top_px),
        slice(left - sprite.left_px, right - sprite.left_px),
    )


def _lay(image: Image, labels: NDArray[np.uint8], sprite: Sprite, number: int) -> None:
    """Puts the sprite over the image, in place, and its number where it covers."""
    window = _window(image, sprite)
    if window is None:
        return
    there, here = window
    alpha = sprite.alpha[here]
    under = image[there].astype(np.float32)
    image[there] = under + (sprite.rgb[here] - under) * alpha[..., None]
    labels[there][alpha > 0.5] = number


def _cast(image: Image, sprite: Sprite, light: Light, depth: float, radius_px: float) -> None:
    """Darkens what lies beside and below the sprite, in place, softly."""
    if not depth:
        return
    pad = int(radius_px * 0.6) + 2
    soft = cv2.copyMakeBorder(sprite.alpha, pad, pad, pad, pad, cv2.BORDER_CONSTANT)
    sigma = max(0.6, radius_px * 0.12)
    soft = cv2.GaussianBlur(soft, (0, 0), sigma)
    shift = -light.direction[:2] * radius_px * 0.3
    shadow = Sprite(
        np.broadcast_to(np.uint8(0), (*soft.shape, 3)), soft * depth,
        sprite.left_px - pad + int(shift[0]), sprite.top_px - pad + int(shift[1]),
    )  # fmt: skip
    window = _window(image, shadow)
    if window is not None:
        there, here = window
        image[there] = image[there] * (1 - shadow.alpha[here])[..., None]
