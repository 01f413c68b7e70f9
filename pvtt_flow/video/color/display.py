"""How a coded picture is meant to be seen: stretched, flipped, turned. FFmpeg hands it over as is.

Display pixels are square. As the HTML standard has it for video, a picture grows in one dimension
and shrinks in none, so nothing that was coded is lost.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import cv2
import numpy as np
from av.filter import Graph
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

# OpenCV turns 1080p in 0.7 ms where np.rot90 and a copy take 8 ms, as long as decoding it.
_TURNS = {
    90: cv2.ROTATE_90_CLOCKWISE,
    180: cv2.ROTATE_180,
    270: cv2.ROTATE_90_COUNTERCLOCKWISE,
}
# FFmpeg's numbers after the last one that PyAV 18 knows, and some to come (libavutil/frame.h).
_UNKNOWN_KINDS = range(28, 40)
_QUARTER = np.array([[0, -1], [1, 0]])
_FLIP = np.array([[-1, 0], [0, 1]])


@dataclass(frozen=True, slots=True)
class Display:
    """The way from the coded picture to the shown one, in this order."""

    coded_px: tuple[int, int]
    """Width and height, as are all sizes here."""
    sample_aspect: Fraction
    """Width of a coded pixel over its height: the picture is stretched to square ones."""
    mirrored: bool
    """Whether it is then flipped left to right."""
    rotation_deg: int
    """The clockwise turn after that: 0, 90, 180 or 270."""

    @property
    def stretched_px(self) -> tuple[int, int]:
        """Size before the turn."""
        width_px, height_px = self.coded_px
        if self.sample_aspect > 1:
            return round(width_px * self.sample_aspect), height_px
        return width_px, round(height_px / self.sample_aspect)

    @property
    def size_px(self) -> tuple[int, int]:
        """Size when shown."""
        width_px, height_px = self.stretched_px
        return (height_px, width_px) if self.rotation_deg in {90, 270} else (width_px, height_px)

    def upright(self, stretched: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """uint8 (H, W, 3) at display size, C-contiguous, of a picture that is stretched already."""
        flipped = cv2.flip(stretched, 1) if self.mirrored else stretched
        turned = cv2.rotate(flipped, _TURNS[self.rotation_deg]) if self.rotation_deg else flipped
        return np.ascontiguousarray(turned, np.uint8)


def display_of(picture: VideoFrame, stream: VideoStream) -> Display:
    """What a picture, and the container around it, say about how it is shown."""
    mirrored, rotation_deg = _orientation(picture)
    return Display(
        coded_px=(picture.width, picture.height),
        # FFmpeg takes the container's word over the codec's, and gives 0 or none for no word.
        sample_aspect=Fraction(stream.sample_aspect_ratio or 1),
        mirrored=mirrored,
        rotation_deg=rotation_deg,
    )


def _orientation(picture: VideoFrame) -> tuple[bool, int]:
    """Whether it is flipped, and the turn after that; of a matrix that is askew, the nearest.

    A display matrix is three rows of fixed point numbers (libavutil/display.h); the first two of
    each of the first two rows say where the picture's axes go.
    """
    try:
        matrix = _matrix(picture)
    except ValueError:
        # The turn, PyAV tells by itself.
        return False, round(-picture.rotation / 90) % 4 * 90
    if matrix is None:
        return False, 0
    axes = np.frombuffer(matrix, "<i4").reshape(3, 3)[:2, :2].T.astype(np.float64)
    choices = [(mirrored, turns) for mirrored in (False, True) for turns in range(4)]

    def likeness(choice: tuple[bool, int]) -> float:
        mirrored, turns = choice
        wanted = np.linalg.matrix_power(_QUARTER, turns) @ (_FLIP if mirrored else np.eye(2))
        return float((axes * wanted).sum())

    mirrored, turns = max(choices, key=likeness)
    return mirrored, 90 * turns


def _matrix(picture: VideoFrame) -> Any:
    """The display matrix, if there is one; ValueError when PyAV cannot tell."""
    try:
        return picture.side_data.get("DISPLAYMATRIX")
    except ValueError:
        # PyAV 18 gives no side data where it does not know all of it, such as a photo's EXIF.
        return _without_unknown_side_data(picture).side_data.get("DISPLAYMATRIX")


def _without_unknown_side_data(picture: VideoFrame) -> VideoFrame:
    graph = Graph()
    deletions = [graph.add("sidedata", f"mode=delete:type={kind}") for kind in _UNKNOWN_KINDS]
    size_px = (picture.width, picture.height)
    source = graph.add_buffer(None, *size_px, picture.format, time_base=picture.time_base)
    graph.link_nodes(source, *deletions, graph.add("buffersink")).configure()
    graph.vpush(picture)
    return graph.vpull()
