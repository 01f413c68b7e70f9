"""Meshes made of grids: every surface is a grid of points with texture coordinates.

Coordinates are object units (an object is about 1 in radius), x right, y down, z away
from the viewer. Normals point outwards; the `part` of a patch selects its texture.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Floating point; widths are in the docstrings, since OpenCV's stubs blur them.
Array = NDArray[Any]


@dataclass(frozen=True)
class Mesh:
    """Quads that share vertices inside a patch and split them at hard edges."""

    points: Array
    """float32 (V, 3)."""
    normals: Array
    """float32 (V, 3), unit length, outwards."""
    uv: Array
    """float32 (V, 2), each in [0, 1]."""
    quads: NDArray[np.int32]
    """int32 (Q, 4), vertex indices round the quad."""
    part: NDArray[np.int32]
    """int32 (Q,), the texture of each quad."""


def grid(points: Array, *, part: int = 0, inside: Array | None = None) -> Mesh:
    """Make a patch from points (R, C, 3); normals turn away from `inside` (R or 1, 1, 3)."""
    rows, cols = points.shape[:2]
    normals = np.cross(np.gradient(points, axis=0), np.gradient(points, axis=1))
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True) + 1e-9
    if inside is not None and float(np.sum(normals * (points - inside))) < 0:
        normals = -normals
    v, u = np.meshgrid(np.linspace(0, 1, rows), np.linspace(0, 1, cols), indexing="ij")
    index = np.arange(rows * cols).reshape(rows, cols)
    corners = (index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1])
    quads = np.stack([corner.ravel() for corner in corners], axis=1)
    return Mesh(
        points.reshape(-1, 3).astype(np.float32),
        normals.reshape(-1, 3).astype(np.float32),
        np.stack([u, v], axis=-1).reshape(-1, 2).astype(np.float32),
        quads.astype(np.int32),
        np.full(len(quads), part, np.int32),
    )


def join(*meshes: Mesh) -> Mesh:
    """Join meshes into one."""
    offsets = np.cumsum([0] + [len(mesh.points) for mesh in meshes[:-1]])
    return Mesh(
        np.concatenate([mesh.points for mesh in meshes]),
        np.concatenate([mesh.normals for mesh in meshes]),
        np.concatenate([mesh.uv for mesh in meshes]),
        np.concatenate(
            [mesh.quads + offset for mesh, offset in zip(meshes, offsets, strict=True)]
        ).astype(np.int32),
        np.concatenate([mesh.part for mesh in meshes]),
    )


def revolve(profile: Array, *, part: int = 0, columns: int = 20) -> Mesh:
    """Revolve a profile (R, 2) of (radius, y) about the y axis."""
    angle = np.linspace(0, 2 * np.pi, columns + 1)
    # A pole of radius zero would have no normal.
    radius = np.maximum(profile[:, :1], 1e-3)
    x, z = radius * np.cos(angle), radius * np.sin(angle)
    y = np.broadcast_to(profile[:, 1:], x.shape)
    points = np.stack([x, y, z], axis=-1)
    axis = np.array([0, profile[:, 1].mean(), 0])
    return grid(points, part=part, inside=axis)


def disc(radius: float, y: float, *, part: int = 0, columns: int = 20) -> Mesh:
    """Make a flat lid or base: (radius, y), facing up where y is negative."""
    profile = np.array([[radius, y], [radius / 2, y], [0, y]])
    angle = np.linspace(0, 2 * np.pi, columns + 1)
    x, z = profile[:, :1] * np.cos(angle), profile[:, :1] * np.sin(angle)
    points = np.stack([x, np.full_like(x, y), z], axis=-1)
    points[-1] = points[-1] * [0, 1, 0] + points[-2] * [1e-3, 0, 1e-3]
    mesh = grid(points, part=part, inside=np.array([0.0, y - np.sign(y), 0.0]))
    planar = (mesh.points[:, [0, 2]] / radius + 1) / 2
    return Mesh(mesh.points, mesh.normals, planar.astype(np.float32), mesh.quads, mesh.part)


def box(size: Array, *, parts: tuple[int, int, int] = (0, 0, 0), cells: int = 4) -> Mesh:
    """Make a cuboid of full size (3,); `parts` are the textures of its x, y and z faces."""
    line = np.linspace(-0.5, 0.5, cells + 1)
    b, a = np.meshgrid(line, line, indexing="ij")
    faces = []
    for axis in range(3):
        for side in (-0.5, 0.5):
            points = np.empty((cells + 1, cells + 1, 3))
            points[..., axis] = side
            points[..., (2, 0, 0)[axis]] = a
            points[..., (1, 2, 1)[axis]] = b
            faces.append(grid(points * size, part=parts[axis], inside=np.zeros(3)))
    return join(*faces)


def superellipsoid(
    size: Array, roundness: tuple[float, float], *, part: int = 0, rows: int = 12, columns: int = 20
) -> Mesh:
    """Make a ball (roundness 1) to a box (towards 0) with half sizes (3,)."""
    latitude = np.linspace(-np.pi / 2 + 1e-2, np.pi / 2 - 1e-2, rows + 1)[:, None]
    longitude = np.linspace(-np.pi, np.pi, columns + 1)[None]

    def power(value: Array, exponent: float) -> Array:
        return np.sign(value) * np.abs(value) ** exponent

    ring = power(np.cos(latitude), roundness[0])
    x = ring * power(np.cos(longitude), roundness[1])
    z = ring * power(np.sin(longitude), roundness[1])
    y = np.broadcast_to(power(np.sin(latitude), roundness[0]), x.shape)
    return grid(np.stack([x, y, z], axis=-1) * size, part=part, inside=np.zeros(3))


def sweep(curve: Array, radius: Array | float, *, part: int = 0, columns: int = 8) -> Mesh:
    """Make a tube of `radius` (scalar or (R,)) round a curve (R, 3) that stays near one plane."""
    tangent = np.gradient(curve, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True) + 1e-9
    spread = curve - curve.mean(0)
    plane_normal = np.linalg.svd(spread, full_matrices=False)[2][2]
    across = np.cross(tangent, plane_normal)
    angle = np.linspace(0, 2 * np.pi, columns + 1)[None, :, None]
    thick = np.broadcast_to(np.asarray(radius, float), (len(curve),))[:, None, None]
    around = across[:, None] * np.cos(angle) + plane_normal * np.sin(angle)
    return grid(curve[:, None] + thick * around, part=part, inside=curve[:, None])


def translated(mesh: Mesh, by: Array) -> Mesh:
    """Return the mesh shifted by (3,)."""
    return Mesh((mesh.points + by).astype(np.float32), mesh.normals, mesh.uv, mesh.quads, mesh.part)


def turned_to_viewer(mesh: Mesh) -> Mesh:
    """Return the mesh turned: its upper side faces the viewer."""
    turn = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]], np.float32)
    return Mesh(mesh.points @ turn.T, mesh.normals @ turn.T, mesh.uv, mesh.quads, mesh.part)


def polyline(*corners: tuple[float, float]) -> Array:
    """Return a polyline of (radius, y) with points between corners, for light that varies."""
    knots = np.array(corners, float)
    positions = np.linspace(0, len(knots) - 1, 4 * (len(knots) - 1) + 1)
    index = np.arange(len(knots))
    return np.stack([np.interp(positions, index, knots[:, k]) for k in (0, 1)], axis=1)
