"""Draw a scene into frames and exact visible masks."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pvtt_flow.core import rle
from pvtt_flow.training.render.degrade import degrade
from pvtt_flow.training.render.library import Library
from pvtt_flow.training.render.mesh import Array
from pvtt_flow.training.render.occluder import Hand, draw_cutout, draw_hand
from pvtt_flow.training.render.raster import Light, Sprite, draw_mesh
from pvtt_flow.training.render.scene import CANVAS_ZOOM, Event, Occluder, Scene, random_scene
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
    """Index of the product that a single-object prompt asks for."""

    @property
    def masks(self) -> NDArray[np.bool_]:
        """Return the visible part of each product, bool (T, N, H, W)."""
        numbers = np.arange(1, self.num_products + 1, dtype=np.uint8)
        return np.asarray(self.labels[:, None] == numbers[None, :, None, None])

    @property
    def boxes_xyxy(self) -> NDArray[np.float32]:
        """Return float32 (T, N, 4) in pixels, exclusive max; NaN where a product is not visible."""
        masks = self.masks
        boxes = np.full((*masks.shape[:2], 4), np.nan, np.float32)
        for index in np.ndindex(*masks.shape[:2]):
            box = rle.box_of(masks[index])
            if box is not None:
                boxes[index] = box
        return boxes


def random_clip(
    seed: int, num_frames: int, *, num_products: int | None = None, event: Event | None = None,
    stride: float | None = None, area_px: int = 150 * 150, library: Library | None = None,
) -> RenderedClip:  # fmt: skip
    """Render the clip of a seed; it fixes aspect ratio, products, motion and camera."""
    rng = np.random.default_rng(seed)
    aspect = ASPECTS[int(rng.integers(len(ASPECTS)))]
    height_px = round((area_px / aspect) ** 0.5)
    width_px = round(height_px * aspect)
    random_count = int(rng.choice([1, 2, 3, 4, 5], p=[0.25, 0.25, 0.2, 0.2, 0.1]))
    random_stride = float(rng.choice([1, 1, 2]))
    scene = random_scene(
        rng, num_frames, height_px, width_px,
        num_products=random_count if num_products is None else num_products,
        event=event, stride=random_stride if stride is None else stride, library=library,
    )  # fmt: skip
    return draw_scene(rng, scene)


def draw_scene(rng: Rng, scene: Scene, *, supersample: int = 2) -> RenderedClip:
    """Draw every frame of a scene."""
    drawn_frames = [_draw_frame(rng, scene, t, supersample) for t in range(len(scene.camera))]
    frames, labels = zip(*drawn_frames, strict=True)
    return RenderedClip(np.stack(frames), np.stack(labels), len(scene.products), scene.target)


def _draw_frame(
    rng: Rng, scene: Scene, t: int, supersample: int
) -> tuple[Image, NDArray[np.uint8]]:
    height_px, width_px = scene.height_px, scene.width_px
    size_px = np.array([width_px, height_px])
    view = _view(scene, t)
    image = cv2.warpAffine(
        scene.canvas, view @ _canvas_to_frame(size_px), (width_px, height_px),
        flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT,
    )  # fmt: skip
    labels = np.zeros((height_px, width_px), np.uint8)
    light = _turned(scene.light, float(scene.sway[t]))
    zoom = float(scene.camera[t, 2])
    for index, product in enumerate(scene.products):
        holders = [occluder for occluder in scene.occluders if occluder.held_product == index]
        for occluder in holders:
            paste(image, labels, _occluder_sprite(occluder, scene, t, view, fingers=False), 0)
        center = view[:, :2] @ (product.trajectory.center[t] * size_px) + view[:, 2]
        radius_px = float(product.trajectory.radius[t]) * min(size_px) * zoom
        sprite = draw_mesh(
            product.mesh, product.skin, product.trajectory.rotation[t], center, radius_px, light,
            supersample=supersample,
        )  # fmt: skip
        if sprite is not None:
            _cast_shadow(image, sprite, light, scene.shadow, radius_px)
            paste(image, labels, sprite, index + 1)
        for occluder in holders:
            paste(image, labels, _occluder_sprite(occluder, scene, t, view, arm=False), 0)
    for occluder in scene.occluders:
        if occluder.held_product is None:
            paste(image, labels, _occluder_sprite(occluder, scene, t, view), 0)
    return degrade(rng, image, scene.lens, t), labels


def _canvas_to_frame(size_px: Array) -> Array:
    """Return the transform (3, 3) that puts the center of the canvas at the center of the frame."""
    margin = size_px * (CANVAS_ZOOM - 1) / 2
    return np.array([[1, 0, -margin[0]], [0, 1, -margin[1]], [0, 0, 1.0]])


def _view(scene: Scene, t: int) -> Array:
    """Return the transform (2, 3) from world to frame pixels: pan, zoom and roll of the camera."""
    shift_x, shift_y, zoom, roll = scene.camera[t]
    size_px = np.array([scene.width_px, scene.height_px])
    middle = size_px / 2
    linear = zoom * np.array([[np.cos(roll), -np.sin(roll)], [np.sin(roll), np.cos(roll)]])
    offset = middle - linear @ middle + np.array([shift_x, shift_y]) * size_px
    return np.hstack([linear, offset[:, None]])


def _turned(light: Light, angle: float) -> Light:
    turn = np.array(
        [[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]]
    )
    return Light(turn @ light.direction, light.ambient, light.diffuse)


def _occluder_sprite(
    occluder: Occluder, scene: Scene, t: int, view: Array, *, arm: bool = True, fingers: bool = True
) -> Sprite:
    size = scene.height_px, scene.width_px
    center = view[:, :2] @ (occluder.center[t] * [size[1], size[0]]) + view[:, 2]
    radius_px = float(occluder.radius[t]) * min(size) * float(scene.camera[t, 2])
    if isinstance(occluder.appearance, Hand):
        return draw_hand(occluder.appearance, center, radius_px, *size, arm=arm, fingers=fingers)
    return draw_cutout(occluder.appearance, center, radius_px, float(occluder.angle[t]), *size)


def _overlap(
    image: Image, sprite: Sprite
) -> tuple[tuple[slice, slice], tuple[slice, slice]] | None:
    """Return the slices of the image and of the sprite in which they overlap."""
    height, width = image.shape[:2]
    tall, wide = sprite.alpha.shape
    top, left = max(sprite.top_px, 0), max(sprite.left_px, 0)
    low, right = min(sprite.top_px + tall, height), min(sprite.left_px + wide, width)
    if top >= low or left >= right:
        return None
    in_image = slice(top, low), slice(left, right)
    return in_image, (
        slice(top - sprite.top_px, low - sprite.top_px),
        slice(left - sprite.left_px, right - sprite.left_px),
    )


def paste(image: Image, labels: NDArray[np.uint8], sprite: Sprite, number: int) -> None:
    """Draw the sprite over the image and its number over the labels, in place."""
    overlap = _overlap(image, sprite)
    if overlap is None:
        return
    in_image, in_sprite = overlap
    alpha = sprite.alpha[in_sprite]
    under = image[in_image].astype(np.float32)
    image[in_image] = under + (sprite.rgb[in_sprite] - under) * alpha[..., None]
    labels[in_image][alpha > 0.5] = number


def _cast_shadow(
    image: Image, sprite: Sprite, light: Light, depth: float, radius_px: float
) -> None:
    """Darken the image around the sprite softly, in place."""
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
    overlap = _overlap(image, shadow)
    if overlap is not None:
        in_image, in_sprite = overlap
        image[in_image] = image[in_image] * (1 - shadow.alpha[in_sprite])[..., None]
