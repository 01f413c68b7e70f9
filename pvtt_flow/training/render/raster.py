"""Rasterize a posed mesh: quad numbers in painter's order, then one texture look-up a pixel.

Texture coordinates and light vary affinely over each quad, which keeps a label on a few hundred
quads as sharp as its texture.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pvtt_flow.training.render.mesh import Array, Mesh
from pvtt_flow.training.render.texture import Image

# In object radii: mild perspective, as of a lens for product photos.
VIEWER_DISTANCE = 6.0
SUBPIXEL_BITS = 4


@dataclass(frozen=True)
class Light:
    """Direction and hardness of the light."""

    direction: Array
    """float32 (3,), unit, from the object to the lamp."""
    ambient: float
    diffuse: float


@dataclass(frozen=True)
class Skin:
    """Material of a mesh."""

    textures: NDArray[np.uint8]
    """uint8 (P, S, S, 3) RGB, one texture a part."""
    gloss: float
    """Strength of the highlight, 0 to 1."""
    two_sided: bool = False
    """True if quads are seen from behind, too, as in meshes whose normals nobody checked."""


@dataclass(frozen=True)
class Sprite:
    """Picture to draw over a frame."""

    rgb: Image
    """uint8 (h, w, 3) RGB, meaningful where alpha is above 0."""
    alpha: Array
    """float32 (h, w) in [0, 1]."""
    left_px: int
    top_px: int


def draw_mesh(
    mesh: Mesh, skin: Skin, rotation: Array, center_px: Array, radius_px: float, light: Light,
    *, supersample: int = 2,
) -> Sprite | None:  # fmt: skip
    """Draw the mesh turned by rotation (3, 3), origin at center_px (x, y); None if too small."""
    points = mesh.points @ rotation.T
    normals = mesh.normals @ rotation.T
    zoom = VIEWER_DISTANCE / (VIEWER_DISTANCE + points[:, 2:])
    projected = center_px + radius_px * points[:, :2] * zoom
    low = np.floor(projected.min(0)).astype(int) - 1
    size = np.ceil(projected.max(0)).astype(int) + 2 - low
    if size.min() < 3 or size.max() > 4000:
        return None
    projected = (projected - low) * supersample
    to_viewer = np.array([0, 0, -VIEWER_DISTANCE]) - points[mesh.quads].mean(1)
    faces = (normals[mesh.quads].mean(1) * to_viewer).sum(1) > 0
    drawn = np.arange(len(faces)) if skin.two_sided else np.flatnonzero(faces)
    order = drawn[np.argsort(-points[mesh.quads[drawn], 2].mean(1))]
    if not len(order):
        return None
    quads = mesh.quads[order]
    side = np.where(faces[order], 1, -1)[:, None, None]
    shade = _shade(normals[quads] * side, light, skin.gloss)
    values = np.concatenate([mesh.uv[quads], shade], axis=2)
    quad_numbers = np.zeros(size[::-1] * supersample, np.uint16)
    fixed = np.round((projected[quads] - 0.5) * (1 << SUBPIXEL_BITS)).astype(np.int32)
    for index, corners in enumerate(fixed, start=1):
        cv2.fillConvexPoly(quad_numbers, corners, index, cv2.LINE_8, SUBPIXEL_BITS)
    rgb = _shade_pixels(quad_numbers, projected[quads], values, mesh.part[order], skin.textures)
    alpha = (quad_numbers > 0).astype(np.float32)
    area = cv2.resize(alpha, size.tolist(), interpolation=cv2.INTER_AREA)
    small = cv2.resize(rgb, size.tolist(), interpolation=cv2.INTER_AREA)
    small = small / np.maximum(area, 1e-3)[..., None]
    return Sprite(np.clip(small, 0, 255).astype(np.uint8), area, int(low[0]), int(low[1]))


def _shade(normals: Array, light: Light, gloss: float) -> Array:
    """Return the factor on the texture and the highlight to add, (…, 2), for normals (…, 3)."""
    lambert = np.maximum(normals @ light.direction, 0)
    half = light.direction + np.array([0, 0, -1.0])
    half /= np.linalg.norm(half)
    highlight = gloss * np.maximum(normals @ half, 0) ** 24
    return np.stack([light.ambient + light.diffuse * lambert, highlight], axis=-1)


def _shade_pixels(
    quad_numbers: NDArray[np.uint16], projected: Array, values: Array, part: NDArray[np.int32],
    textures: NDArray[np.uint8],
) -> Array:  # fmt: skip
    """Look up texture and light of the quad of each covered pixel; return float32 (h, w, 3)."""
    mean_px, mean = projected.mean(1), values.mean(1)
    offset, change = projected - mean_px[:, None], values - mean[:, None]
    spread = np.einsum("qki,qkj->qij", offset, offset) + 1e-3 * np.eye(2)
    slope = np.linalg.solve(spread, np.einsum("qki,qkj->qij", offset, change))
    y, x = np.nonzero(quad_numbers)
    quad = quad_numbers[y, x].astype(np.int64) - 1
    step = np.stack([x, y], axis=1) + 0.5 - mean_px[quad]
    value = mean[quad] + np.einsum("pi,pij->pj", step, slope[quad])
    value = np.clip(value, values.min(1)[quad], values.max(1)[quad])
    side_px = textures.shape[1]
    # Textures repeat outside [0, 1].
    texel = np.round(value[:, :2] * (side_px - 1)).astype(np.int64) % side_px
    base = textures[part[quad], texel[:, 1], texel[:, 0]]
    rgb = np.zeros((*quad_numbers.shape, 3), np.float32)
    rgb[y, x] = np.minimum(base * value[:, 2:3] + 255 * value[:, 3:], 255)
    return rgb
