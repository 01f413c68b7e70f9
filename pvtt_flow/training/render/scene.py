"""Composes a scene: who is there, how each moves, what comes in front, how the camera looks.

A scene is data; `clip.py` draws it. Every choice comes from the generator it is given.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from pvtt_flow.training.render.background import background
from pvtt_flow.training.render.degrade import Lens, lens
from pvtt_flow.training.render.mesh import Array, Mesh
from pvtt_flow.training.render.motion import Path, excursion, path, wander
from pvtt_flow.training.render.occluder import Cutout, Hand, cutout, hand
from pvtt_flow.training.render.raster import Light, Skin
from pvtt_flow.training.render.shape import NUM_PARTS, shape
from pvtt_flow.training.render.texture import Image, Rng, plain, texture

Event = Literal["none", "cover", "hold", "leave", "twin"]
# Most clips are easy to medium, as product videos are.
EVENT_SHARES: dict[Event, float] = {
    "none": 0.5, "hold": 0.14, "cover": 0.14, "leave": 0.08, "twin": 0.14,
}  # fmt: skip
CANVAS_ZOOM = 1.5


@dataclass(frozen=True)
class Product:
    """A thing that is asked for."""

    mesh: Mesh
    skin: Skin
    path: Path


@dataclass(frozen=True)
class Cover:
    """An occluder and where its middle is; in front of product `holds` and behind the nearer."""

    what: Hand | Cutout
    centre: Array
    """(T, 2), frame units."""
    radius: Array
    """(T,), shorter sides."""
    angle: Array
    """(T,), radians."""
    holds: int | None = None
    """The product that a hand carries: the palm goes behind it, the fingers in front."""


@dataclass(frozen=True)
class Scene:
    """Content of a clip."""

    height_px: int
    width_px: int
    canvas: Image
    """Wider than the frame by CANVAS_ZOOM."""
    camera: Array
    """(T, 4): shift x, y in frame units, zoom, roll in radians."""
    products: tuple[Product, ...]
    """Back to front; the first prompt belongs to `target`."""
    covers: tuple[Cover, ...]
    light: Light
    sway: Array
    """(T,), how far the lamp turns, radians."""
    shadow: float
    lens: Lens
    target: int


def scene(  # noqa: PLR0913 - the knobs of a scene, all by name
    rng: Rng, num_frames: int, height_px: int, width_px: int, *, num_products: int,
    event: Event | None = None, stride: float = 1.0, texture_px: int = 96,
) -> Scene:  # fmt: skip
    """A random scene of num_frames, `stride` ticks apart (a tick is about 1/24 s)."""
    ticks = np.arange(num_frames) * stride
    if event is None:
        event = list(EVENT_SHARES)[
            int(rng.choice(len(EVENT_SHARES), p=list(EVENT_SHARES.values())))
        ]
    energy = float(rng.choice([0.3, 1.0, 2.0], p=[0.3, 0.5, 0.2]))
    aspect = width_px / height_px
    products = [
        _product(rng, ticks, at, size, energy, texture_px)
        for at, size in _places(rng, num_products, aspect)
    ]
    target = int(rng.integers(max(1, num_products)))
    if products and event == "twin":
        products.append(_twin(rng, ticks, products[target], energy))
    if products and event == "leave":
        products[target] = replace(products[target], path=excursion(rng, products[target].path))
    canvas = background(rng, int(height_px * CANVAS_ZOOM), int(width_px * CANVAS_ZOOM))
    return Scene(
        height_px, width_px, canvas, _camera(rng, ticks), tuple(products),
        _covers(rng, ticks, products, target, event),
        _light(rng),
        wander(rng, ticks, 0.01 * energy), rng.uniform(0.1, 0.6) * (rng.random() < 0.8),
        lens(rng, ticks), target,
    )  # fmt: skip


def _light(rng: Rng) -> Light:
    direction = np.array([rng.normal(0, 0.7), -rng.uniform(0.3, 1.2), -rng.uniform(0.3, 1)])
    direction /= np.linalg.norm(direction)
    return Light(direction, rng.uniform(0.3, 0.65), rng.uniform(0.4, 0.85))


def _places(rng: Rng, count: int, aspect: float) -> list[tuple[Array, float]]:
    """Start positions (2,) and radii that overlap little, larger when fewer."""
    shape_px = np.array([aspect, 1.0]) / min(aspect, 1.0)
    places: list[tuple[Array, float]] = []
    room = {0: 0.0, 1: 0.42, 2: 0.36, 3: 0.3}.get(count, 0.26)
    for _ in range(count):
        size = rng.uniform(0.45, 1.0) * room
        options = rng.uniform(0.15, 0.85, (8, 2))
        gaps = [
            min(
                (float(np.linalg.norm((at - o) * shape_px)) - 0.8 * s for o, s in places), default=0
            )
            for at in options
        ]
        places.append((options[int(np.argmax(gaps))], size))
    return places


def _product(
    rng: Rng, ticks: Array, at: Array, size: float, energy: float, texture_px: int
) -> Product:
    sheets = [texture(rng, texture_px)]
    sheets += [plain(rng, texture_px) for _ in range(NUM_PARTS - 1)]
    skin = Skin(np.stack(sheets), float(rng.choice([0, rng.uniform(0.1, 0.8)])))
    return Product(shape(rng), skin, path(rng, ticks, at, size, energy=energy))


def _twin(rng: Rng, ticks: Array, of: Product, energy: float) -> Product:
    """A look-alike: same mesh and texture, standing elsewhere, moving its own way."""
    start = of.path.centre[0]
    away = rng.uniform(0.2, 0.8, (12, 2))
    at = away[np.argmax(np.linalg.norm(away - start, axis=1) - rng.uniform(0, 0.3, 12))]
    size = float(of.path.radius[0]) * rng.uniform(0.85, 1.1)
    own = path(rng, ticks, at, size, energy=energy)
    alike = replace(own, rotation=of.path.rotation) if rng.random() < 0.5 else own
    return replace(of, path=alike)


def _camera(rng: Rng, ticks: Array) -> Array:
    lively = float(rng.choice([0, 0.4, 1.0], p=[0.4, 0.4, 0.2]))
    pan = [np.clip(wander(rng, ticks, 0.007 * lively), -0.2, 0.2) for _ in range(2)]
    zoom = np.exp(np.clip(wander(rng, ticks, 0.006 * lively), -0.1, 0.3))
    shake = rng.normal(0, 0.0015 * rng.integers(2), (2, len(ticks)))
    roll = np.clip(wander(rng, ticks, 0.003 * lively), -0.15, 0.15)
    return np.stack([pan[0] + shake[0], pan[1] + shake[1], zoom, roll], axis=1)


def _covers(
    rng: Rng, ticks: Array, products: list[Product], target: int, event: Event
) -> tuple[Cover, ...]:
    still = np.ones(len(ticks))
    covers = []
    if products and event == "hold":
        line = products[target].path
        this = hand(rng)
        toward = np.array([np.cos(this.arm_angle), np.sin(this.arm_angle)])
        grip = line.radius[:, None] * toward * rng.uniform(0.35, 0.8)
        palm = line.radius * rng.uniform(0.3, 0.5)
        covers.append(Cover(this, line.centre + grip, palm, 0 * still, holds=target))
    if products and event == "cover":
        covers.append(_passing(rng, ticks, products[target].path))
    # An empty scene shows more of what is not a product.
    share = 1.0 if products else 3.0
    if rng.random() < 0.12 * share:
        # Something near the lens, at the border, touching nothing in particular.
        at = np.array([rng.choice([0.0, 1.0]), rng.uniform(0, 1)])
        turn = rng.uniform(0, 6) + wander(rng, ticks, 0.01)
        covers.append(Cover(cutout(rng), at + 0 * still[:, None], 0.3 * still, turn))
    if rng.random() < 0.08 * share:
        at = rng.uniform(0.1, 0.9, 2) + np.stack([wander(rng, ticks, 0.01) for _ in range(2)], 1)
        covers.append(Cover(hand(rng), at, rng.uniform(0.06, 0.13) * still, 0 * still))
    return tuple(covers)


def _passing(rng: Rng, ticks: Array, line: Path) -> Cover:
    """A hand or cutout that crosses the product somewhere in the clip."""
    at = np.linspace(0, 1, len(ticks)) - rng.uniform(0.3, 0.8)
    heading = rng.uniform(0, 2 * np.pi)
    way = np.array([np.cos(heading), np.sin(heading)])
    sweep_by = at[:, None] * way * rng.uniform(0.8, 2.5)
    aside = rng.normal(0, 0.4) * line.radius[:, None] * way[::-1] * [1, -1]
    if rng.random() < 0.6:
        palm = line.radius.mean() * rng.uniform(0.25, 0.55)
        return Cover(hand(rng), line.centre + sweep_by + aside, np.full(len(ticks), palm), 0 * at)
    size = line.radius.mean() * rng.uniform(0.5, 1.5)
    turn = rng.uniform(0, 6) + wander(rng, ticks, 0.03)
    return Cover(cutout(rng), line.centre + sweep_by + aside, np.full(len(ticks), size), turn)
