"""Product shots by Blender: chosen meshes on a table, a camera that moves round them slowly.

Needs the extra `train`.
"""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from pvtt_flow.training.render import blender
from pvtt_flow.training.render.background import random_surface
from pvtt_flow.training.render.blender import Camera, Thing
from pvtt_flow.training.render.library import Library, MeshFile
from pvtt_flow.training.render.mesh import Array
from pvtt_flow.training.render.stage import Stage
from pvtt_flow.training.render.texture import Image

_TABLE_PX = 1024
_RADIUS, _GAP = 0.6, 1.3
# The camera's path, in radians about the products and above the table.
_SWEEP, _LIFT, _HEIGHT = 0.5, 0.08, 0.38
_DISTANCE, _LENS_MM = 4.6, 45.0
_TURN_A_FRAME = 0.012
# Far enough to be out of the picture on either side.
_AWAY = 3.4


def shoot(
    stage: Stage, library: Library, num_frames: int, size_px: tuple[int, int]
) -> Iterator[Image]:
    """Yield the frames of a shot, uint8 (H, W, 3) RGB; `size_px` is width and height."""
    by_name = {file.short_name: file for file in library.meshes}
    sky = next(path for path in library.skies if path.name.startswith(stage.sky))
    surface = random_surface(np.random.default_rng(stage.surface), _TABLE_PX, _TABLE_PX)
    with TemporaryDirectory(prefix="cycles-") as name:
        folder = Path(name)
        blender.set_up(size_px, "AgX")
        blender.add_sky(sky, folder, turn=0.0, brightness=0.6)
        blender.add_table(surface, folder, roughness=0.5)
        things = [
            _thing(by_name[mesh], position, stage, num_frames, folder)
            for position, mesh in enumerate(stage.meshes)
        ]
        yield from blender.render(things, _camera(num_frames), folder)


def _thing(file: MeshFile, position: int, stage: Stage, num_frames: int, folder: Path) -> Thing:
    """Stand a mesh at its position in the row; it turns slowly."""
    item = blender.import_mesh(file, folder)
    blender.stand(item, _RADIUS)
    place = np.zeros((num_frames, 3))
    place[:, 0] = _GAP * (position - (len(stage.meshes) - 1) / 2)
    if stage.leaves and position == 0:
        place[:, 0] += _AWAY * _away_and_back(num_frames)
    turn = 0.4 + _TURN_A_FRAME * np.arange(num_frames)
    return Thing(item, position + 1, place, turn)


def _away_and_back(num_frames: int) -> Array:
    """Return shares (T,) of the way out: there at the first and last quarter, away in between."""
    progress = np.linspace(0, 1, num_frames)
    out = np.clip((progress - 0.2) / 0.2, 0, 1)
    back = np.clip((progress - 0.65) / 0.2, 0, 1)
    return _eased(out) - _eased(back)


def _eased(share: Array) -> Array:
    return np.asarray(share * share * (3 - 2 * share))


def _camera(num_frames: int) -> Camera:
    """Move the camera round the products from left to right, and up a little."""
    progress = np.linspace(-0.5, 0.5, num_frames)
    azimuth = -np.pi / 2 + _SWEEP * progress
    height = _HEIGHT + _LIFT * progress
    direction = np.stack(
        [np.cos(azimuth) * np.cos(height), np.sin(azimuth) * np.cos(height), np.sin(height)], 1
    )
    aim = np.tile([0.0, 0.0, 0.45], (num_frames, 1))
    return blender.add_camera(_LENS_MM, aim + _DISTANCE * direction, aim)
