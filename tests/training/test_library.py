"""Catalogs of meshes, skies, and scenes that are made of them."""

import base64
from fractions import Fraction
from pathlib import Path
from zipfile import ZipFile

import av
import cv2
import numpy as np
import pytest

from pvtt_flow.training.assets import MESHES, SKIES
from pvtt_flow.training.pack import pack
from pvtt_flow.training.render.clip import random_clip
from pvtt_flow.training.render.library import CATALOG as CATALOG_NAME
from pvtt_flow.training.render.library import (
    Library,
    MeshFile,
    _of_split,
    open_library,
    small_meshes,
)
from pvtt_flow.training.render.sky import random_view, read_sky
from pvtt_flow.training.sheet import write_sheet
from tests.training.test_wavefront import CUBE, LOOKS

CATALOG = """
id#1=Shop#cup
name#1=Cup \\u00e9
model#1=/cup/cup.obj
width#1=8
depth#1=8
height#1=10
creator#1=Ann
id#2=Shop#sofa
model#2=/sofa/sofa.obj
width#2=200
depth#2=90
height#2=80
creator#2=Bob
id#3=Shop#lamp
model#3=/lamp/lamp.obj
width#3=20
creator#3=Ann
"""


def make_catalog(path: Path) -> Path:
    """Write a catalog with a cup and a sofa."""
    with ZipFile(path, "w") as archive:
        archive.writestr(CATALOG_NAME, CATALOG)
        archive.writestr("cup/cup.obj", CUBE)
        archive.writestr("cup/looks/box.mtl", LOOKS)
        archive.writestr("sofa/sofa.obj", CUBE)
    return path


def make_sky(path: Path) -> Path:
    """Write a sky whose upper half is blue, with a lamp, and whose lower half is dark."""
    light = np.zeros((16, 32, 3), np.float32)
    light[:8] = (0.1, 0.2, 0.9)
    light[8:] = 0.05
    light[2, 5] = 5000
    encoder = av.CodecContext.create("exr", "w")
    encoder.width, encoder.height, encoder.pix_fmt = 32, 16, "gbrpf32le"
    encoder.time_base = Fraction(1, 25)
    frame = av.VideoFrame.from_ndarray(light, format="gbrpf32le")
    content = b"".join(bytes(p) for each in (frame, None) for p in encoder.encode(each))
    url = f"data:application/exr;base64,{base64.b64encode(content).decode()}"
    path.write_text(f"export default '{url}';\n")
    return path


def make_assets(folder: Path) -> Path:
    """Put a catalog and a sky where fetched ones are."""
    for package, name, make in ((MESHES, "shop.sh3f", make_catalog), (SKIES, "a.exr.js", make_sky)):
        content = folder / package.sha256[:16] / "package"
        content.mkdir(parents=True)
        make(content / name)
    return folder


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_catalog(tmp_path_factory.mktemp("catalog") / "shop.sh3f")


@pytest.fixture(scope="module")
def sky(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_sky(tmp_path_factory.mktemp("skies") / "noon.exr.js")


def test_a_catalog_gives_what_is_as_small_as_a_product(catalog: Path) -> None:
    assert list(small_meshes(catalog)) == [MeshFile(catalog, "cup/cup.obj", "Shop#cup", "Ann")]


def test_packed_meshes_and_skies_need_no_registry(tmp_path: Path) -> None:
    here, there = make_assets(tmp_path / "here"), tmp_path / "there"
    pack(here, tmp_path / "assets.zip")
    with ZipFile(tmp_path / "assets.zip") as packed:
        packed.extractall(there)
    library = open_library(there, held_out=True)
    (mesh,), (packed_sky,) = library.meshes, library.skies
    assert mesh.name == "Shop#cup"
    assert packed_sky.is_relative_to(there)
    with ZipFile(mesh.archive) as archive:
        assert sorted(archive.namelist()) == [CATALOG_NAME, "cup/cup.obj", "cup/looks/box.mtl"]


def test_every_sixth_item_is_held_out() -> None:
    held_out, train = (_of_split(range(14), held_out=held) for held in (True, False))
    assert held_out == (0, 6, 12)
    assert sorted(held_out + train) == list(range(14))


def test_a_sky_is_seen_upright_and_exposed(sky: Path) -> None:
    light = read_sky(sky)
    assert light.light.shape == (16, 32, 3)
    assert light.light.max() == 1000
    assert np.allclose(light.light[4, 20], (0.1, 0.2, 0.9))
    for seed in range(5):
        view = random_view(np.random.default_rng(seed), light, 60, 80)
        assert view.shape == (60, 80, 3)
        upper, lower = view[:4].mean((0, 1)), view[-4:].mean((0, 1))
        assert upper[2] > lower[2]
        assert 40 < np.median(view) < 220


def test_scenes_with_a_library_show_its_meshes_and_skies(catalog: Path, sky: Path) -> None:
    library = Library(tuple(small_meshes(catalog)), (sky,))

    def clip(
        seed: int, with_library: Library | None
    ) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
        return random_clip(seed, 1, num_products=2, area_px=64 * 64, library=with_library).frames

    assert np.array_equal(clip(3, library), clip(3, library))
    assert all(not np.array_equal(clip(seed, library), clip(seed, None)) for seed in range(4))


def test_a_contact_sheet_outlines_products(catalog: Path, sky: Path, tmp_path: Path) -> None:
    path = tmp_path / "sheet.png"
    write_sheet(path, Library(tuple(small_meshes(catalog)), (sky,)), 4)
    sheet = cv2.imread(str(path))
    assert sheet is not None
    # Two rows of three clips, each with two frames beside their outlines.
    assert sheet.shape == (2 * 256, 3 * 4 * 256, 3)
    is_outline = (sheet == (0, 255, 0)).all(-1)
    assert is_outline[:256, 256:512].any()
    assert not is_outline[256:, 4 * 256 :].any()


def test_a_sheet_that_cannot_be_written_is_told(catalog: Path, sky: Path, tmp_path: Path) -> None:
    library = Library(tuple(small_meshes(catalog)), (sky,))
    with pytest.raises(OSError, match=r"sheet\.png could not be written"):
        write_sheet(tmp_path / "no folder" / "sheet.png", library, 1)
