"""A scene for Blender's path tracer, Cycles: a sky, a table, products, a camera.

The choices are the caller's (`cycles.py`, `staged.py`). Masks are exact: a second rendering has a
flat color for each product, one sample at each pixel's center. Needs the extra `train`.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import bpy
import cv2
import numpy as np
from mathutils import Vector

from pvtt_flow.training.render.library import MeshFile
from pvtt_flow.training.render.mesh import Array
from pvtt_flow.training.render.sky import exr_of, read_sky
from pvtt_flow.training.render.texture import Image

# With the denoiser, more samples show nothing at these sizes.
_SAMPLES = 8
_TABLE_SIZE = 12.0


@dataclass(frozen=True)
class Thing:
    """Object of the scene, and where it is at each frame."""

    object: Any
    label: int
    """Number of the product, from 1; 0 for what only hides others."""
    place: Array
    """(T, 3), its origin."""
    turn: Array
    """(T,), rotation about the vertical axis, radians."""


@dataclass(frozen=True)
class Camera:
    """Camera of the scene, and where it is at each frame."""

    object: Any
    place: Array
    """(T, 3)"""
    aim: Array
    """(T, 3), the point that it looks at."""


def set_up(size_px: tuple[int, int], view_transform: str) -> None:
    """Start an empty scene for pictures of this width and height."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
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
    scene.view_settings.view_transform = view_transform


def add_sky(path: Path, folder: Path, *, turn: float, brightness: float) -> None:
    """Put a sky around the scene, turned by `turn` radians; its median light is `brightness`.

    Skies differ a hundredfold in their own brightness, and a camera exposes for each.
    """
    picture = folder / "sky.exr"
    picture.write_bytes(exr_of(path))
    world = bpy.data.worlds.new("sky")
    bpy.context.scene.world = world
    world.use_nodes = True
    nodes, links = world.node_tree.nodes, world.node_tree.links
    environment = nodes.new("ShaderNodeTexEnvironment")
    environment.image = bpy.data.images.load(str(picture))
    mapping, place = nodes.new("ShaderNodeMapping"), nodes.new("ShaderNodeTexCoord")
    mapping.inputs["Rotation"].default_value = (0, 0, turn)
    links.new(place.outputs["Generated"], mapping.inputs["Vector"])
    links.new(mapping.outputs["Vector"], environment.inputs["Vector"])
    background = nodes["Background"]
    links.new(environment.outputs["Color"], background.inputs["Color"])
    middle = float(np.median(read_sky(path).light))
    background.inputs["Strength"].default_value = brightness / max(middle, 0.02)


def add_table(surface: Image, folder: Path, *, roughness: float) -> None:
    """Add a square table whose top shows a picture, uint8 (S, S, 3) RGB."""
    bpy.ops.mesh.primitive_plane_add(size=_TABLE_SIZE)
    table = bpy.context.object
    picture = folder / "table.png"
    cv2.imwrite(str(picture), surface[..., ::-1])
    material = bpy.data.materials.new("table")
    material.use_nodes = True
    nodes = material.node_tree.nodes
    image = nodes.new("ShaderNodeTexImage")
    image.image = bpy.data.images.load(str(picture))
    shader = nodes["Principled BSDF"]
    shader.inputs["Roughness"].default_value = roughness
    material.node_tree.links.new(image.outputs["Color"], shader.inputs["Base Color"])
    table.data.materials.append(material)


def import_mesh(file: MeshFile, folder: Path) -> Any:
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


def copy_of(item: Any) -> Any:
    """Add another object of the same mesh."""
    twin = item.copy()
    bpy.context.collection.objects.link(twin)
    return twin


def turn_over(item: Any, angles: Array) -> None:
    """Turn an object about its axes by angles (3,) in radians."""
    item.rotation_euler = angles
    bpy.context.view_layer.objects.active = item
    bpy.ops.object.transform_apply(location=False, rotation=True, scale=False)


def stand(item: Any, radius: float) -> None:
    """Scale an object to a radius, and move its points: it stands on its origin."""
    corners = np.array([tuple(corner) for corner in item.bound_box])
    low, high = corners.min(0), corners.max(0)
    scale = radius / max(float(np.linalg.norm(high - low)) / 2, 1e-6)
    foot = Vector(((low[0] + high[0]) / 2, (low[1] + high[1]) / 2, low[2]))
    for vertex in item.data.vertices:
        vertex.co = (vertex.co - foot) * scale


def add_camera(lens_mm: float, place: Array, aim: Array) -> Camera:
    """Add the camera, with a focal length for a sensor of 36 mm."""
    data = bpy.data.cameras.new("camera")
    data.lens = lens_mm
    item = bpy.data.objects.new("camera", data)
    bpy.context.collection.objects.link(item)
    bpy.context.scene.camera = item
    return Camera(item, place, aim)


def render(things: Sequence[Thing], camera: Camera, folder: Path) -> Iterator[Image]:
    """Yield each frame, uint8 (H, W, 3) RGB."""
    path = folder / "frame.png"
    bpy.context.scene.render.filepath = str(path)
    for t in range(len(camera.place)):
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


def paint_flat(things: Sequence[Thing]) -> None:
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
