"""Real meshes and skies, split by name: models are measured with others than they learned from."""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeVar
from zipfile import ZipFile

import cv2
import numpy as np
from numpy.typing import NDArray

from pvtt_flow.training.assets import MESHES, SKIES, fetch
from pvtt_flow.training.render.mesh import Mesh
from pvtt_flow.training.render.raster import Skin
from pvtt_flow.training.render.sky import random_view, read_sky
from pvtt_flow.training.render.texture import Image, Rng, random_texture
from pvtt_flow.training.render.wavefront import read_obj

# A product fits into a parcel.
MAX_SIDE_CM = 50.0
# The renderer draws each quad: more of them cost more than they show in a small picture.
MAX_QUADS = 12_000
HELD_OUT_ONE_IN = 6
CATALOG = "PluginFurnitureCatalog.properties"
# Of the looks of a mesh: its own, its own in other colors, drawn ones.
_LOOKS = (0.5, 0.25, 0.25)

T = TypeVar("T")


@dataclass(frozen=True)
class MeshFile:
    """Mesh of a catalog."""

    archive: Path
    member: str
    name: str
    """Name of the catalog and of the mesh."""
    creator: str

    @property
    def short_name(self) -> str:
        """Return the name without that of the catalog."""
        return self.name.partition("#")[2]


@dataclass(frozen=True)
class Library:
    """Meshes and skies of one split."""

    meshes: tuple[MeshFile, ...]
    skies: tuple[Path, ...]
    mesh_share: float = 0.6
    """Share of products that are meshes; the others are drawn shapes."""
    sky_share: float = 0.5
    """Share of backgrounds with a sky behind what is drawn."""

    def random_product(self, rng: Rng, texture_px: int) -> tuple[Mesh, Skin]:
        """Choose a mesh, and its own look or another one."""
        mesh, textures = self._random_mesh(rng, texture_px)
        look = rng.choice(len(_LOOKS), p=_LOOKS)
        if look == 1:
            textures = _recolored(rng, textures)
        elif look == len(_LOOKS) - 1:
            textures = np.stack([random_texture(rng, texture_px) for _ in textures])
        return mesh, Skin(textures, float(rng.choice([0, rng.uniform(0.1, 0.8)])), two_sided=True)

    def _random_mesh(self, rng: Rng, texture_px: int) -> tuple[Mesh, NDArray[np.uint8]]:
        while True:
            file = self.meshes[int(rng.integers(len(self.meshes)))]
            mesh, textures = _load_mesh(file.archive, file.member, texture_px)
            if len(mesh.quads) <= MAX_QUADS:
                return mesh, textures

    def random_view(self, rng: Rng, height_px: int, width_px: int) -> Image:
        """Return a view of a sky, uint8 (H, W, 3) RGB."""
        path = self.skies[int(rng.integers(len(self.skies)))]
        return random_view(rng, _load_sky(path), height_px, width_px)


def open_library(folder: Path, *, held_out: bool) -> Library:
    """Return the meshes and skies that are held out, or those to learn from.

    Fetches them to the folder if they are not there.
    """
    skies = sorted(fetch(SKIES, folder).rglob("*.exr.js"))
    return Library(
        _of_split(all_meshes(folder), held_out=held_out), _of_split(skies, held_out=held_out)
    )


def all_meshes(folder: Path) -> list[MeshFile]:
    """Return the small meshes of all catalogs, sorted by name."""
    catalogs = fetch(MESHES, folder).rglob("*.sh3f")
    meshes = [mesh for path in catalogs for mesh in small_meshes(path)]
    return sorted(meshes, key=lambda mesh: mesh.name)


def _of_split(items: Sequence[T], *, held_out: bool) -> tuple[T, ...]:
    """Return every sixth one, which is held out, or the others."""
    return tuple(item for at, item in enumerate(items) if (at % HELD_OUT_ONE_IN == 0) == held_out)


def small_meshes(archive: Path) -> Iterator[MeshFile]:
    """Yield the meshes of a Sweet Home 3D catalog that are as small as products."""
    entries: defaultdict[str, dict[str, str]] = defaultdict(dict)
    with ZipFile(archive) as catalog:
        text = catalog.read(CATALOG).decode("latin-1")
    for key, number, value in re.findall(r"^(\w+)#(\d+)\s*=\s*(.*?)\s*$", text, re.MULTILINE):
        entries[number][key] = value
    for entry in entries.values():
        sides_cm = [float(entry[key]) for key in ("width", "depth", "height") if key in entry]
        if len(sides_cm) == 3 and max(sides_cm) < MAX_SIDE_CM:
            yield MeshFile(archive, entry["model"].lstrip("/"), entry["id"], entry["creator"])


@cache
def _load_mesh(archive: Path, member: str, texture_px: int) -> tuple[Mesh, NDArray[np.uint8]]:
    with ZipFile(archive) as catalog:
        return read_obj(catalog, member, texture_px=texture_px)


_load_sky = cache(read_sky)


def _recolored(rng: Rng, textures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Turn the hues of textures (P, S, S, 3), and change saturation and brightness."""
    sheet = textures.reshape(-1, textures.shape[2], 3)
    hsv = cv2.cvtColor(sheet, cv2.COLOR_RGB2HSV).astype(np.float32)
    hsv[..., 0] = (hsv[..., 0] + rng.uniform(0, 180)) % 180
    hsv[..., 1:] *= rng.uniform(0.6, 1.4, 2)
    rgb = cv2.cvtColor(np.clip(hsv, 0, 255).astype(np.uint8), cv2.COLOR_HSV2RGB)
    return np.asarray(rgb, np.uint8).reshape(textures.shape)
