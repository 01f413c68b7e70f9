"""Read Wavefront OBJ meshes and their MTL materials from a ZIP archive.

OBJ has y up and any size; a `Mesh` has y down, z away from the viewer and radius 1. Polygons become
quads, which need convex ones.
"""

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass, field
from zipfile import ZipFile

import cv2
import numpy as np
from numpy.typing import NDArray

from pvtt_flow.training.render.mesh import Array, Mesh
from pvtt_flow.training.render.texture import Image

_TO_MESH = np.array([1, -1, -1], np.float32)
_GRAY = (0.7, 0.7, 0.7)


@dataclass
class _Corners:
    """Quads as positions in the file's lists; -1 is none."""

    points: list[list[int]] = field(default_factory=list)
    uv: list[list[int]] = field(default_factory=list)
    materials: list[str] = field(default_factory=list)


def read_obj(archive: ZipFile, name: str, *, texture_px: int) -> tuple[Mesh, NDArray[np.uint8]]:
    """Return the mesh and its textures, uint8 (P, S, S, 3) RGB, one for each material.

    Raises ValueError if it has no faces.
    """
    points: list[list[float]] = []
    uv: list[list[float]] = [[0, 0]]
    corners, material, libraries = _Corners(), "", list[str]()
    for line in archive.read(name).decode("latin-1").splitlines():
        words = line.split()
        match words[:1]:
            case ["v"]:
                points.append([float(word) for word in words[1:4]])
            case ["vt"]:
                uv.append([float(word) for word in words[1:3]])
            case ["usemtl"]:
                material = line.split(maxsplit=1)[1].strip()
            case ["mtllib"]:
                libraries.append(line.split(maxsplit=1)[1].strip())
            case ["f"]:
                _add_face(corners, words[1:], material, len(points), len(uv) - 1)
            case _:
                pass
    if not corners.points:
        raise ValueError(f"{name} must have faces, got none")
    materials = sorted(set(corners.materials))
    part = np.array([materials.index(name) for name in corners.materials], np.int32)
    textures = _textures(archive, posixpath.dirname(name), libraries, materials, texture_px)
    quads = np.array(corners.points, np.int32)
    return _mesh(
        np.array(points, np.float32), quads, np.array(uv, np.float32)[corners.uv], part
    ), textures


def _add_face(
    corners: _Corners, words: list[str], material: str, num_points: int, num_uv: int
) -> None:
    """Add a polygon as a fan of quads; a triangle is a quad that has its last corner twice."""
    indices = [_corner(word, num_points, num_uv) for word in words]
    for at in range(1, len(indices) - 1, 2):
        quad = [indices[0], indices[at], indices[at + 1], indices[min(at + 2, len(indices) - 1)]]
        corners.points.append([point for point, _ in quad])
        corners.uv.append([uv for _, uv in quad])
        corners.materials.append(material)


def _corner(word: str, num_points: int, num_uv: int) -> tuple[int, int]:
    """Return the positions of point and texture point; the list of the latter begins with none."""
    point, uv, *_ = [*word.split("/"), ""]
    at, texture = int(point), int(uv or 0)
    return (
        at - 1 if at > 0 else num_points + at,
        texture if texture >= 0 else num_uv + 1 + texture,
    )


def _mesh(points: Array, quads: NDArray[np.int32], uv: Array, part: NDArray[np.int32]) -> Mesh:
    """Make a mesh of points (V, 3), quads (Q, 4) and their texture points (Q, 4, 2).

    Quads share no vertex, since each has texture points of its own.
    """
    corners = (points * _TO_MESH)[quads]
    corners -= (corners.min((0, 1)) + corners.max((0, 1))) / 2
    corners /= np.linalg.norm(corners, axis=-1).max() + 1e-9
    return Mesh(
        corners.reshape(-1, 3).astype(np.float32),
        _normals(corners, quads, len(points)).reshape(-1, 3).astype(np.float32),
        uv.reshape(-1, 2),
        np.arange(quads.size, dtype=np.int32).reshape(-1, 4),
        part,
    )


def _normals(corners: Array, quads: NDArray[np.int32], num_points: int) -> Array:
    """Return the normal at each corner, (Q, 4, 3): smooth, but at edges of more than 45 degrees."""
    # Diagonals of a quad; those of a triangle are two of its sides.
    flat = np.cross(corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1])
    total = np.zeros((num_points, 3))
    np.add.at(total, quads, flat[:, None])
    flat, smooth = (
        each / (np.linalg.norm(each, axis=-1, keepdims=True) + 1e-12)
        for each in (flat[:, None], total[quads])
    )
    is_smooth = (flat * smooth).sum(-1, keepdims=True) > np.cos(np.pi / 4)
    return np.asarray(np.where(is_smooth, smooth, flat))


def _textures(
    archive: ZipFile, folder: str, libraries: list[str], materials: list[str], side_px: int
) -> NDArray[np.uint8]:
    names = set(archive.namelist())
    found: dict[str, Image] = {}
    for library in libraries:
        path = posixpath.normpath(posixpath.join(folder, library))
        if path in names:
            found |= dict(_read_mtl(archive, path, side_px))
    gray = _plain(_GRAY, side_px)
    return np.stack([found.get(material, gray) for material in materials])


def _read_mtl(archive: ZipFile, name: str, side_px: int) -> Iterator[tuple[str, Image]]:
    """Yield name and texture of each material."""
    material, texture = "", _plain(_GRAY, side_px)
    for line in archive.read(name).decode("latin-1").splitlines():
        words = line.split()
        match words[:1]:
            case ["newmtl"]:
                if material:
                    yield material, texture
                material, texture = line.split(maxsplit=1)[1].strip(), _plain(_GRAY, side_px)
            case ["Kd"]:
                texture = _plain((float(words[1]), float(words[2]), float(words[3])), side_px)
            case ["map_Kd"]:
                path = posixpath.normpath(posixpath.join(posixpath.dirname(name), words[-1]))
                texture = _picture(archive, path, side_px, texture)
            case _:
                pass
    if material:
        yield material, texture


def _plain(color: tuple[float, float, float], side_px: int) -> Image:
    return np.full((side_px, side_px, 3), np.clip(color, 0, 1) * np.array(255.0)).astype(np.uint8)


def _picture(archive: ZipFile, name: str, side_px: int, default: Image) -> Image:
    """Read a picture with its lowest row first, as v counts."""
    try:
        content = np.frombuffer(archive.read(name), np.uint8)
    except KeyError:
        return default
    picture = cv2.imdecode(content, cv2.IMREAD_COLOR)
    if picture is None:
        return default
    square = cv2.resize(picture, (side_px, side_px), interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(square[::-1, :, ::-1])
