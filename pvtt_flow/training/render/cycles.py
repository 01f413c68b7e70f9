"""Clips of real meshes by Blender's path tracer, Cycles: its light, shadows and reflections.

Products stand on a table under a sky, the camera moves round them, and some of them move. Masks
are exact: a second rendering has a flat color for each product, one sample at each pixel's center.
Needs the extra `train`.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zipfile import ZipFile

import bpy
import cv2
import numpy as np
from mathutils import Vector

from pvtt_flow.training.render.background import random_surface
from pvtt_flow.training.render.clip import ASPECTS, RenderedClip
from pvtt_flow.training.render.degrade import degrade, random_lens
from pvtt_flow.training.render.library import Library, MeshFile
from pvtt_flow.training.render.mesh import Array
from pvtt_flow.training.render.motion import wander
from pvtt_flow.training.render.sky import exr_of, read_sky
from pvtt_flow.training.render.texture import Image, Rng

# With the denoiser, more samples show nothing at this size.
_SAMPLES = 8
_TABLE_SIZE, _TABLE_PX = 12.0, 512
_TWIN, _MOVING, _IN_FRONT = 0.15, 0.5, 0.25
_LARGEST_MESH_BYTES = 8 << 20


@dataclass(frozen=True)
class _Thing:
    """Object of the scene."""

    object: Any
    label: int
    """Number of the product, from 1; 0 for what only hides others."""
    place: Array
    """(T, 3), where its origin is at each frame."""
    turn: Array
    """(T,), rotation about the vertical axis, radians."""


def cycles_clip(seed: int, num_frames: int, library: Library, *, side_px: int) -> RenderedClip:
    """Render the clip of a seed with `side_px` squared pixels."""
    rng = np.random.default_rng(seed)
    aspect = ASPECTS[int(rng.integers(len(ASPECTS)))]
    height_px = round(side_px / aspect**0.5)
    size_px = round(height_px * aspect), height_px
    stride = float(rng.choice([1, 2, 3]))
    ticks = np.arange(num_frames) * stride
    with TemporaryDirectory(prefix="cycles-") as name:
        folder = Path(name)
        bpy.ops.wm.read_factory_settings(use_empty=True)
        _set_up(rng, size_px)
        _add_sky(rng, library, folder)
        _add_table(rng, folder)
        things = _add_things(rng, library, ticks, folder)
        camera = _add_camera(rng, ticks, things)
        pictures = list(_render(things, camera, num_frames, folder))
        _paint_flat(things)
        labels = [each[..., 0] for each in _render(things, camera, num_frames, folder)]
    lens = random_lens(rng, ticks)
    frames = [degrade(rng, picture, lens, t) for t, picture in enumerate(pictures)]
    num_products = max(thing.label for thing in things)
    target = int(rng.integers(num_products))
    return RenderedClip(np.stack(frames), np.stack(labels), num_products, target)


def _set_up(rng: Rng, size_px: tuple[int, int]) -> None:
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.cycles.device = "CPU"
    scene.cycles.samples = _SAMPLES
    scene.cycles.use_denoising = True
    scene.cycles.max_bounces = 6
    scene.render.threads_mode, scene.render.threads = "FIXED", 1
    scene.render.resolution_x, scene.render.resolution_y = size_px
    scene.render.image_settings.file_format = "PNG"
    scene.render.use_persistent_data = True
    scene.view_settings.view_transform = str(rng.choice(["AgX", "Standard"]))


def _add_sky(rng: Rng, library: Library, folder: Path) -> None:
    path = library.skies[int(rng.integers(len(library.skies)))]
    picture = folder / "sky.exr"
    picture.write_bytes(exr_of(path))
    world = bpy.data.worlds.new("sky")
    bpy.context.scene.world = world
    world.use_nodes = True
    nodes, links = world.node_tree.nodes, world.node_tree.links
    environment = nodes.new("ShaderNodeTexEnvironment")
    environment.image = bpy.data.images.load(str(picture))
    turn, place = nodes.new("ShaderNodeMapping"), nodes.new("ShaderNodeTexCoord")
    turn.inputs["Rotation"].default_value = (0, 0, rng.uniform(0, 2 * np.pi))
    links.new(place.outputs["Generated"], turn.inputs["Vector"])
    links.new(turn.outputs["Vector"], environment.inputs["Vector"])
    background = nodes["Background"]
    links.new(environment.outputs["Color"], background.inputs["Color"])
    # Skies differ a hundredfold in brightness, and the camera exposes for each.
    middle = float(np.median(read_sky(path).light))
    background.inputs["Strength"].default_value = rng.uniform(0.3, 0.8) / max(middle, 0.02)


def _add_table(rng: Rng, folder: Path) -> None:
    bpy.ops.mesh.primitive_plane_add(size=_TABLE_SIZE)
    table = bpy.context.object
    picture = folder / "table.png"
    cv2.imwrite(str(picture), random_surface(rng, _TABLE_PX, _TABLE_PX)[..., ::-1])
    material = bpy.data.materials.new("table")
    material.use_nodes = True
    nodes = material.node_tree.nodes
    image = nodes.new("ShaderNodeTexImage")
    image.image = bpy.data.images.load(str(picture))
    shader = nodes["Principled BSDF"]
    shader.inputs["Roughness"].default_value = rng.uniform(0.15, 0.9)
    material.node_tree.links.new(image.outputs["Color"], shader.inputs["Base Color"])
    table.data.materials.append(material)


def _add_things(rng: Rng, library: Library, ticks: Array, folder: Path) -> list[_Thing]:
    """Put one to four products on the table, now and then a twin, and something in front."""
    count = int(rng.integers(1, 5))
    things: list[_Thing] = []
    for label in range(1, count + 1):
        item = _import(_choose(rng, library), folder)
        _stand(rng, item, rng.uniform(0.35, 0.8))
        things.append(_place(rng, item, label, ticks, things))
    if rng.random() < _TWIN:
        twin = things[0].object.copy()
        bpy.context.collection.objects.link(twin)
        things.append(_place(rng, twin, count + 1, ticks, things))
    if rng.random() < _IN_FRONT:
        item = _import(_choose(rng, library), folder)
        _stand(rng, item, rng.uniform(0.2, 0.5))
        things.append(_crossing(rng, item, ticks))
    return things


def _choose(rng: Rng, library: Library) -> MeshFile:
    while True:
        file = library.meshes[int(rng.integers(len(library.meshes)))]
        with ZipFile(file.archive) as archive:
            if archive.getinfo(file.member).file_size <= _LARGEST_MESH_BYTES:
                return file


def _import(file: MeshFile, folder: Path) -> Any:
    """Import a mesh with its materials as one object."""
    inside = str(Path(file.member).parent)
    with ZipFile(file.archive) as archive:
        archive.extractall(folder, [n for n in archive.namelist() if n.startswith(f"{inside}/")])
    bpy.ops.object.select_all(action="DESELECT")
    bpy.ops.wm.obj_import(
        filepath=str(folder / file.member), forward_axis="NEGATIVE_Z", up_axis="Y"
    )
    parts = [part for part in bpy.context.selected_objects if part.type == "MESH"]
    bpy.context.view_layer.objects.active = parts[0]
    if len(parts) > 1:
        bpy.ops.object.join()
    bpy.ops.object.transform_apply(location=True, rotation=True, scale=True)
    return bpy.context.view_layer.objects.active


def _stand(rng: Rng, item: Any, radius: float) -> None:
    """Scale an object to a radius, turn it, and move its points: it stands on its origin."""
    if rng.random() < 0.3:
        item.rotation_euler = rng.uniform(-np.pi, np.pi, 3)
        bpy.context.view_layer.objects.active = item
        bpy.ops.object.transform_apply(location=False, rotation=True, scale=False)
    corners = np.array([tuple(corner) for corner in item.bound_box])
    low, high = corners.min(0), corners.max(0)
    scale = radius / max(float(np.linalg.norm(high - low)) / 2, 1e-6)
    foot = Vector(((low[0] + high[0]) / 2, (low[1] + high[1]) / 2, low[2]))
    for vertex in item.data.vertices:
        vertex.co = (vertex.co - foot) * scale


def _place(rng: Rng, item: Any, label: int, ticks: Array, others: Sequence[_Thing]) -> _Thing:
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
    return _Thing(item, label, start + path, turn)


def _crossing(rng: Rng, item: Any, ticks: Array) -> _Thing:
    """Move something past the products, on the camera's side."""
    across = np.linspace(-2, 2, len(ticks)) + rng.uniform(-1, 1)
    side = 1 if rng.random() < 0.5 else -1
    place = np.stack([side * across, np.full(len(ticks), -1.6), 0 * across], axis=1)
    return _Thing(item, 0, place, np.zeros(len(ticks)))


@dataclass(frozen=True)
class _Camera:
    object: Any
    place: Array
    """(T, 3)"""
    aim: Array
    """(T, 3), the point that it looks at."""


def _add_camera(rng: Rng, ticks: Array, things: Sequence[_Thing]) -> _Camera:
    data = bpy.data.cameras.new("camera")
    data.lens = rng.uniform(30, 60)
    item = bpy.data.objects.new("camera", data)
    bpy.context.collection.objects.link(item)
    bpy.context.scene.camera = item
    # From the front, where things cross.
    azimuth = -np.pi / 2 + rng.normal(0, 0.4) + wander(rng, ticks, 0.02)
    height = np.clip(rng.uniform(0.15, 1.0) + wander(rng, ticks, 0.006), 0.1, 1.3)
    distance = rng.uniform(2.8, 5.5) * np.exp(wander(rng, ticks, 0.006))
    direction = np.stack(
        [np.cos(azimuth) * np.cos(height), np.sin(azimuth) * np.cos(height), np.sin(height)], 1
    )
    middle = np.mean([thing.place[0] for thing in things if thing.label], axis=0)
    aim = middle + np.array([0, 0, 0.3])
    aim = aim + np.stack([wander(rng, ticks, 0.01) for _ in range(3)], 1)
    return _Camera(item, aim + distance[:, None] * direction, aim)


def _render(
    things: Sequence[_Thing], camera: _Camera, num_frames: int, folder: Path
) -> Iterator[Image]:
    """Yield each frame, uint8 (H, W, 3) RGB."""
    path = folder / "frame.png"
    bpy.context.scene.render.filepath = str(path)
    for t in range(num_frames):
        for thing in things:
            thing.object.location = thing.place[t]
            thing.object.rotation_euler = (0, 0, thing.turn[t])
        camera.object.location = camera.place[t]
        towards = Vector(camera.aim[t] - camera.place[t])
        camera.object.rotation_euler = towards.to_track_quat("-Z", "Y").to_euler()
        with _silent():
            bpy.ops.render.render(write_still=True)
        picture = cv2.imread(str(path))
        if picture is None:
            raise RuntimeError("Blender must write a picture of each frame, but wrote none")
        yield np.asarray(picture[..., ::-1])


@contextmanager
def _silent() -> Iterator[None]:
    """Drop what Blender's own code prints, several lines a frame."""
    kept = os.dup(1)
    with Path(os.devnull).open("wb") as nothing:
        os.dup2(nothing.fileno(), 1)
        try:
            yield
        finally:
            os.dup2(kept, 1)
            os.close(kept)


def _paint_flat(things: Sequence[_Thing]) -> None:
    """Give each object a flat color: the number of the product in the red channel, else black."""
    scene = bpy.context.scene
    scene.cycles.samples, scene.cycles.use_denoising = 1, False
    scene.render.dither_intensity = 0
    scene.cycles.pixel_filter_type = "BOX"
    scene.cycles.filter_width = 0.01
    scene.view_settings.view_transform = "Raw"
    scene.world.node_tree.nodes["Background"].inputs["Strength"].default_value = 0
    labels = {thing.object.name: thing.label for thing in things}
    for item in [each for each in scene.objects if each.type == "MESH"]:
        item.data = item.data.copy()
        item.data.materials.clear()
        item.data.materials.append(_flat(labels.get(item.name, 0)))
        for polygon in item.data.polygons:
            polygon.material_index = 0


def _flat(label: int) -> Any:
    material = bpy.data.materials.new(f"label {label}")
    material.use_nodes = True
    nodes = material.node_tree.nodes
    nodes.clear()
    emission, output = nodes.new("ShaderNodeEmission"), nodes.new("ShaderNodeOutputMaterial")
    emission.inputs["Color"].default_value = (label / 255, 0, 0, 1)
    material.node_tree.links.new(emission.outputs["Emission"], output.inputs["Surface"])
    return material
