"""Compose a scene: products, their trajectories, occluders, light and camera.

A scene is data; `clip.py` draws it. Every choice comes from the generator that is passed.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from pvtt_flow.training.render.background import random_background
from pvtt_flow.training.render.degrade import Lens, random_lens
from pvtt_flow.training.render.library import Library
from pvtt_flow.training.render.mesh import Array, Mesh
from pvtt_flow.training.render.motion import Trajectory, leave_and_return, random_trajectory, wander
from pvtt_flow.training.render.occluder import Cutout, Hand, random_cutout, random_hand
from pvtt_flow.training.render.raster import Light, Skin
from pvtt_flow.training.render.shape import NUM_PARTS, random_shape
from pvtt_flow.training.render.texture import Image, Rng, plain_texture, random_texture

Event = Literal["none", "cover", "hold", "leave", "twin"]
# Most clips are easy to medium, as product videos are.
EVENT_SHARES: dict[Event, float] = {
    "none": 0.5, "hold": 0.14, "cover": 0.14, "leave": 0.08, "twin": 0.14,
}  # fmt: skip
CANVAS_ZOOM = 1.5


@dataclass(frozen=True)
class Product:
    """Object that a prompt may ask for."""

    mesh: Mesh
    skin: Skin
    trajectory: Trajectory


@dataclass(frozen=True)
class Occluder:
    """Object in front of the products, with the position of its center at every frame."""

    appearance: Hand | Cutout
    center: Array
    """(T, 2), frame units."""
    radius: Array
    """(T,), shorter sides."""
    angle: Array
    """(T,), radians."""
    held_product: int | None = None
    """Index of the product that a hand carries: the palm is behind it, the fingers in front."""


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
    occluders: tuple[Occluder, ...]
    light: Light
    sway: Array
    """(T,), rotation of the light, radians."""
    shadow: float
    lens: Lens
    target: int


def random_scene(  # noqa: PLR0913 - the knobs of a scene, all by name
    rng: Rng, num_frames: int, height_px: int, width_px: int, *, num_products: int,
    event: Event | None = None, stride: float = 1.0, texture_px: int = 96,
    library: Library | None = None,
) -> Scene:  # fmt: skip
    """Compose a scene of num_frames frames, `stride` ticks apart (a tick is about 1/24 s).

    With a library, some products are its meshes, and some backgrounds show its skies.
    """
    ticks = np.arange(num_frames) * stride
    if event is None:
        event = list(EVENT_SHARES)[
            int(rng.choice(len(EVENT_SHARES), p=list(EVENT_SHARES.values())))
        ]
    energy = float(rng.choice([0.3, 1.0, 2.0], p=[0.3, 0.5, 0.2]))
    aspect = width_px / height_px
    products = [
        Product(
            *_appearance(rng, texture_px, library),
            random_trajectory(rng, ticks, start, size, energy=energy),
        )
        for start, size in _places(rng, num_products, aspect)
    ]
    target = int(rng.integers(max(1, num_products)))
    if products and event == "twin":
        products.append(_look_alike(rng, ticks, products[target], energy))
    if products and event == "leave":
        products[target] = replace(
            products[target], trajectory=leave_and_return(rng, products[target].trajectory)
        )
    return Scene(
        height_px, width_px, _canvas(rng, height_px, width_px, library), _camera(rng, ticks),
        tuple(products),
        _occluders(rng, ticks, products, target, event),
        _light(rng),
        wander(rng, ticks, 0.01 * energy), rng.uniform(0.1, 0.6) * (rng.random() < 0.8),
        random_lens(rng, ticks), target,
    )  # fmt: skip


def _light(rng: Rng) -> Light:
    direction = np.array([rng.normal(0, 0.7), -rng.uniform(0.3, 1.2), -rng.uniform(0.3, 1)])
    direction /= np.linalg.norm(direction)
    return Light(direction, rng.uniform(0.3, 0.65), rng.uniform(0.4, 0.85))


def _places(rng: Rng, count: int, aspect: float) -> list[tuple[Array, float]]:
    """Choose start positions (2,) and radii that overlap little; fewer products are larger."""
    shape_px = np.array([aspect, 1.0]) / min(aspect, 1.0)
    places: list[tuple[Array, float]] = []
    room = {0: 0.0, 1: 0.42, 2: 0.36, 3: 0.3}.get(count, 0.26)
    for _ in range(count):
        size = rng.uniform(0.45, 1.0) * room
        options = rng.uniform(0.15, 0.85, (8, 2))
        gaps = [
            min(
                (
                    float(np.linalg.norm((option - position) * shape_px)) - 0.8 * radius
                    for position, radius in places
                ),
                default=0,
            )
            for option in options
        ]
        places.append((options[int(np.argmax(gaps))], size))
    return places


def _appearance(rng: Rng, texture_px: int, library: Library | None) -> tuple[Mesh, Skin]:
    if library is not None and rng.random() < library.mesh_share:
        return library.random_product(rng, texture_px)
    sheets = [random_texture(rng, texture_px)]
    sheets += [plain_texture(rng, texture_px) for _ in range(NUM_PARTS - 1)]
    skin = Skin(np.stack(sheets), float(rng.choice([0, rng.uniform(0.1, 0.8)])))
    return random_shape(rng), skin


def _canvas(rng: Rng, height_px: int, width_px: int, library: Library | None) -> Image:
    size_px = int(height_px * CANVAS_ZOOM), int(width_px * CANVAS_ZOOM)
    has_sky = library is not None and rng.random() < library.sky_share
    far = library.random_view(rng, *size_px) if library is not None and has_sky else None
    return random_background(rng, *size_px, far)


def _look_alike(rng: Rng, ticks: Array, original: Product, energy: float) -> Product:
    """Return a product of equal mesh and texture at another place with its own motion."""
    original_start = original.trajectory.center[0]
    options = rng.uniform(0.2, 0.8, (12, 2))
    start = options[
        np.argmax(np.linalg.norm(options - original_start, axis=1) - rng.uniform(0, 0.3, 12))
    ]
    size = float(original.trajectory.radius[0]) * rng.uniform(0.85, 1.1)
    new_trajectory = random_trajectory(rng, ticks, start, size, energy=energy)
    look_alike_trajectory = (
        replace(new_trajectory, rotation=original.trajectory.rotation)
        if rng.random() < 0.5
        else new_trajectory
    )
    return replace(original, trajectory=look_alike_trajectory)


def _camera(rng: Rng, ticks: Array) -> Array:
    lively = float(rng.choice([0, 0.4, 1.0], p=[0.4, 0.4, 0.2]))
    pan = [np.clip(wander(rng, ticks, 0.007 * lively), -0.2, 0.2) for _ in range(2)]
    zoom = np.exp(np.clip(wander(rng, ticks, 0.006 * lively), -0.1, 0.3))
    shake = rng.normal(0, 0.0015 * rng.integers(2), (2, len(ticks)))
    roll = np.clip(wander(rng, ticks, 0.003 * lively), -0.15, 0.15)
    return np.stack([pan[0] + shake[0], pan[1] + shake[1], zoom, roll], axis=1)


def _occluders(
    rng: Rng, ticks: Array, products: list[Product], target: int, event: Event
) -> tuple[Occluder, ...]:
    constant = np.ones(len(ticks))
    occluders = []
    if products and event == "hold":
        trajectory = products[target].trajectory
        holder = random_hand(rng)
        arm_direction = np.array([np.cos(holder.arm_angle), np.sin(holder.arm_angle)])
        grip = trajectory.radius[:, None] * arm_direction * rng.uniform(0.35, 0.8)
        palm = trajectory.radius * rng.uniform(0.3, 0.5)
        occluders.append(
            Occluder(holder, trajectory.center + grip, palm, 0 * constant, held_product=target)
        )
    if products and event == "cover":
        occluders.append(_crossing(rng, ticks, products[target].trajectory))
    # An empty scene shows more of what is not a product.
    share = 1.0 if products else 3.0
    if rng.random() < 0.12 * share:
        # An object near the lens, at the border, that belongs to no product.
        position = np.array([rng.choice([0.0, 1.0]), rng.uniform(0, 1)])
        turn = rng.uniform(0, 6) + wander(rng, ticks, 0.01)
        occluders.append(
            Occluder(random_cutout(rng), position + 0 * constant[:, None], 0.3 * constant, turn)
        )
    if rng.random() < 0.08 * share:
        position = rng.uniform(0.1, 0.9, 2) + np.stack(
            [wander(rng, ticks, 0.01) for _ in range(2)], 1
        )
        occluders.append(
            Occluder(random_hand(rng), position, rng.uniform(0.06, 0.13) * constant, 0 * constant)
        )
    return tuple(occluders)


def _crossing(rng: Rng, ticks: Array, trajectory: Trajectory) -> Occluder:
    """Return a hand or cutout that crosses the product at some time in the clip."""
    progress = np.linspace(0, 1, len(ticks)) - rng.uniform(0.3, 0.8)
    heading = rng.uniform(0, 2 * np.pi)
    direction = np.array([np.cos(heading), np.sin(heading)])
    sweep_by = progress[:, None] * direction * rng.uniform(0.8, 2.5)
    aside = rng.normal(0, 0.4) * trajectory.radius[:, None] * direction[::-1] * [1, -1]
    if rng.random() < 0.6:
        palm = trajectory.radius.mean() * rng.uniform(0.25, 0.55)
        return Occluder(
            random_hand(rng),
            trajectory.center + sweep_by + aside,
            np.full(len(ticks), palm),
            0 * progress,
        )
    size = trajectory.radius.mean() * rng.uniform(0.5, 1.5)
    turn = rng.uniform(0, 6) + wander(rng, ticks, 0.03)
    return Occluder(
        random_cutout(rng), trajectory.center + sweep_by + aside, np.full(len(ticks), size), turn
    )
