"""Clips of real meshes by Blender's path tracer, Cycles: its light, shadows and reflections.

Products stand on a table under a sky, the camera moves round them, and some of them move. Needs
the extra `train`.
"""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zipfile import ZipFile

import numpy as np

from pvtt_flow.training.render import blender
from pvtt_flow.training.render.background import random_surface
from pvtt_flow.training.render.blender import Camera, Thing
from pvtt_flow.training.render.clip import ASPECTS, RenderedClip
from pvtt_flow.training.render.degrade import degrade, random_lens
from pvtt_flow.training.render.library import Library, MeshFile
from pvtt_flow.training.render.mesh import Array
from pvtt_flow.training.render.motion import wander
from pvtt_flow.training.render.texture import Rng

_TABLE_PX = 512
_LYING, _TWIN, _MOVING, _IN_FRONT = 0.3, 0.15, 0.5, 0.25
_LARGEST_MESH_BYTES = 8 << 20


def cycles_clip(seed: int, num_frames: int, library: Library, *, side_px: int) -> RenderedClip:
    """Render the clip of a seed with `side_px` squared pixels."""
    rng = np.random.default_rng(seed)
    aspect = ASPECTS[int(rng.integers(len(ASPECTS)))]
    height_px = round(side_px / aspect**0.5)
    ticks = np.arange(num_frames) * float(rng.choice([1, 2, 3]))
    with TemporaryDirectory(prefix="cycles-") as name:
        folder = Path(name)
        blender.set_up((round(height_px * aspect), height_px), str(rng.choice(["AgX", "Standard"])))
        _add_surroundings(rng, library, folder)
        things = _add_things(rng, library, ticks, folder)
        camera = _add_camera(rng, ticks, things)
        pictures = list(blender.render(things, camera, folder))
        blender.paint_flat(things)
        labels = [each[..., 0] for each in blender.render(things, camera, folder)]
    lens = random_lens(rng, ticks)
    frames = [degrade(rng, picture, lens, t) for t, picture in enumerate(pictures)]
    num_products = max(thing.label for thing in things)
    target = int(rng.integers(num_products))
    return RenderedClip(np.stack(frames), np.stack(labels), num_products, target)


def _add_surroundings(rng: Rng, library: Library, folder: Path) -> None:
    sky = library.skies[int(rng.integers(len(library.skies)))]
    blender.add_sky(
        sky, folder, turn=rng.uniform(0, 2 * np.pi), brightness=rng.uniform(0.3, 0.8)
    )  # fmt: skip
    surface = random_surface(rng, _TABLE_PX, _TABLE_PX)
    blender.add_table(surface, folder, roughness=rng.uniform(0.15, 0.9))


def _add_things(rng: Rng, library: Library, ticks: Array, folder: Path) -> list[Thing]:
    """Put one to four products on the table, now and then a twin, and something in front."""
    count = int(rng.integers(1, 5))
    things: list[Thing] = []
    for label in range(1, count + 1):
        item = _import(rng, library, folder, rng.uniform(0.35, 0.8))
        things.append(_place(rng, item, label, ticks, things))
    if rng.random() < _TWIN:
        twin = blender.copy_of(things[0].object)
        things.append(_place(rng, twin, count + 1, ticks, things))
    if rng.random() < _IN_FRONT:
        item = _import(rng, library, folder, rng.uniform(0.2, 0.5))
        things.append(_crossing(rng, item, ticks))
    return things


def _import(rng: Rng, library: Library, folder: Path, radius: float) -> Any:
    """Import a mesh of a radius; some lie on a side."""
    item = blender.import_mesh(_choose(rng, library), folder)
    if rng.random() < _LYING:
        blender.turn_over(item, rng.uniform(-np.pi, np.pi, 3))
    blender.stand(item, radius)
    return item


def _choose(rng: Rng, library: Library) -> MeshFile:
    while True:
        file = library.meshes[int(rng.integers(len(library.meshes)))]
        with ZipFile(file.archive) as archive:
            if archive.getinfo(file.member).file_size <= _LARGEST_MESH_BYTES:
                return file


def _place(rng: Rng, item: Any, label: int, ticks: Array, others: Sequence[Thing]) -> Thing:
    """Choose the place that is farthest from the others, of a few, and a motion."""
    options = rng.uniform(-1.2, 1.2, (8, 2))
    gaps = [
        min((np.linalg.norm(option - other.place[0, :2]) for other in others), default=0.0)
        for option in options
    ]
    start = np.array([*options[int(np.argmax(np.array(gaps)))], 0.0])
    moves = rng.random() < _MOVING
    path = np.stack([wander(rng, ticks, 0.02 * moves) for _ in range(3)], axis=1)
    path[:, 2] = np.abs(path[:, 2])
    turn = rng.uniform(0, 2 * np.pi) + moves * rng.normal(0, 0.06) * ticks
    return Thing(item, label, start + path, turn)


def _crossing(rng: Rng, item: Any, ticks: Array) -> Thing:
    """Move something past the products, on the camera's side."""
    across = np.linspace(-2, 2, len(ticks)) + rng.uniform(-1, 1)
    side = 1 if rng.random() < 0.5 else -1
    place = np.stack([side * across, np.full(len(ticks), -1.6), 0 * across], axis=1)
    return Thing(item, 0, place, np.zeros(len(ticks)))


def _add_camera(rng: Rng, ticks: Array, things: Sequence[Thing]) -> Camera:
    """Let the camera move a little, in front of the products, where things cross."""
    lens_mm = rng.uniform(30, 60)
    azimuth = -np.pi / 2 + rng.normal(0, 0.4) + wander(rng, ticks, 0.02)
    height = np.clip(rng.uniform(0.15, 1.0) + wander(rng, ticks, 0.006), 0.1, 1.3)
    distance = rng.uniform(2.8, 5.5) * np.exp(wander(rng, ticks, 0.006))
    direction = np.stack(
        [np.cos(azimuth) * np.cos(height), np.sin(azimuth) * np.cos(height), np.sin(height)], 1
    )
    middle = np.mean([thing.place[0] for thing in things if thing.label], axis=0)
    aim = middle + np.array([0, 0, 0.3])
    aim = aim + np.stack([wander(rng, ticks, 0.01) for _ in range(3)], 1)
    return blender.add_camera(lens_mm, aim + distance[:, None] * direction, aim)
