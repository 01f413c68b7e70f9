"""OBJ meshes of an archive: their shape, faces, normals and textures."""

import io
from pathlib import Path
from zipfile import ZipFile

import cv2
import numpy as np
import pytest

from pvtt_flow.training.render.mesh import Mesh
from pvtt_flow.training.render.raster import Light, Skin, draw_mesh
from pvtt_flow.training.render.wavefront import read_obj

# A box of 2 by 4 by 2 with its lowest corner at the origin; y is up, z towards the viewer.
CUBE = """
mtllib looks/box.mtl
v 0 0 0
v 2 0 0
v 2 4 0
v 0 4 0
v 0 0 2
v 2 0 2
v 2 4 2
v 0 4 2
vt 0 0
vt 1 0
vt 1 1
vt 0 1
usemtl paint
f 5/1 6/2 7/3 8/4
usemtl label
f 2/1 1/2 4/3 3/4
f 1 5 8 4
f 6 2 3 7
f -1 -2 -6 -5
f 1 2 6 5
"""
LOOKS = """
newmtl paint
Kd 0.2 0.4 0.6
newmtl label
Kd 1 0 0
map_Kd label.png
"""


def archive_of(tmp_path: Path, obj: str = CUBE, mtl: str = LOOKS) -> ZipFile:
    picture = np.zeros((8, 8, 3), np.uint8)
    picture[:4] = (0, 255, 0)  # the upper half is green
    path = tmp_path / "catalog.zip"
    with ZipFile(path, "w") as archive:
        archive.writestr("box/box.obj", obj)
        archive.writestr("box/looks/box.mtl", mtl)
        archive.writestr("box/looks/label.png", cv2.imencode(".png", picture)[1].tobytes())
    return ZipFile(io.BytesIO(path.read_bytes()))


def test_a_box_is_centered_scaled_and_turned_upright(tmp_path: Path) -> None:
    mesh, _ = read_obj(archive_of(tmp_path), "box/box.obj", texture_px=8)
    assert mesh.quads.shape == (6, 4)
    half = np.array([1, 2, 1]) / np.sqrt(6)
    assert np.allclose(mesh.points.min(0), -half, atol=1e-6)
    assert np.allclose(mesh.points.max(0), half, atol=1e-6)
    front = mesh.points[mesh.quads[0]]
    # Near the viewer is a small z, and the first corner is the lower left one.
    assert np.allclose(front[:, 2], -half[2])
    assert np.allclose(front[0], [-half[0], half[1], -half[2]])


def test_normals_of_a_box_point_outwards(tmp_path: Path) -> None:
    mesh, _ = read_obj(archive_of(tmp_path), "box/box.obj", texture_px=8)
    centers = mesh.points[mesh.quads].mean(1)
    normals = mesh.normals[mesh.quads]
    assert np.allclose(np.linalg.norm(normals, axis=-1), 1)
    # Edges of 90 degrees stay sharp: a face has one normal.
    assert np.allclose(normals, normals[:, :1])
    assert ((normals[:, 0] * centers).sum(1) > 0.3).all()


def test_textures_are_colors_or_pictures_with_the_lowest_row_first(tmp_path: Path) -> None:
    mesh, textures = read_obj(archive_of(tmp_path), "box/box.obj", texture_px=8)
    label, paint = textures
    assert mesh.part.tolist() == [1, 0, 0, 0, 0, 0]
    assert paint[0, 0].tolist() == [51, 102, 153]
    assert label[0, 0].tolist() == [0, 0, 0]
    assert label[7, 0].tolist() == [0, 255, 0]


def test_polygons_become_quads_and_triangles_repeat_a_corner(tmp_path: Path) -> None:
    angle = np.linspace(0, 2 * np.pi, 5, endpoint=False)
    points = "".join(f"v {np.cos(a)} {np.sin(a)} 0\n" for a in angle)
    mesh, textures = read_obj(
        archive_of(tmp_path, points + "f 1 2 3 4 5\nf 1 2 3\n", ""), "box/box.obj", texture_px=4
    )
    corners = mesh.points[mesh.quads]
    assert len(corners) == 3
    assert np.allclose(corners[1][2:], corners[1][3])
    assert np.allclose(corners[2][2], corners[2][3])
    # No material: gray.
    assert textures.shape == (1, 4, 4, 3)
    assert len(np.unique(textures)) == 1


def test_a_missing_picture_leaves_the_color(tmp_path: Path) -> None:
    mtl = LOOKS.replace("label.png", "lost.png")
    _, textures = read_obj(archive_of(tmp_path, mtl=mtl), "box/box.obj", texture_px=8)
    assert textures[0, 0, 0].tolist() == [255, 0, 0]


def test_a_mesh_without_faces_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"box/box\.obj must have faces, got none"):
        read_obj(archive_of(tmp_path, "v 0 0 0\n"), "box/box.obj", texture_px=8)


@pytest.mark.parametrize(("two_sided", "is_drawn"), [(True, True), (False, False)])
def test_a_face_is_seen_from_behind_if_it_is_two_sided(
    tmp_path: Path, *, two_sided: bool, is_drawn: bool
) -> None:
    mesh, textures = read_obj(archive_of(tmp_path), "box/box.obj", texture_px=8)
    back = Mesh(mesh.points, mesh.normals, mesh.uv, mesh.quads[1:2], mesh.part[1:2])
    light = Light(np.array([0.0, 0.0, -1.0]), 0.2, 0.8)
    skin = Skin(textures, 0.0, two_sided=two_sided)
    sprite = draw_mesh(back, skin, np.eye(3), np.array([50.0, 50.0]), 40.0, light)
    assert (sprite is not None) == is_drawn
    if sprite is not None:
        # Lit as a face that looks at the lamp.
        assert sprite.rgb[sprite.alpha > 0.99].max() == 255
