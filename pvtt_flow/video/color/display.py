"""Display of a decoded frame: stretch it to square pixels, mirror it and rotate it upright.

FFmpeg returns frames as they are coded. As in the HTML standard for video, a frame grows in one
dimension and shrinks in none, so no coded pixel is lost.
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

# OpenCV rotates 1080p in 0.7 ms; np.rot90 and a copy take 8 ms, as long as decoding it.
_ROTATIONS = {
    90: cv2.ROTATE_90_CLOCKWISE,
    180: cv2.ROTATE_180,
    270: cv2.ROTATE_90_COUNTERCLOCKWISE,
}
# Types of side data after the last one that PyAV 18 knows, and some for later versions of FFmpeg
# (AVFrameSideDataType in libavutil/frame.h).
_UNKNOWN_TYPES = range(28, 40)
_QUARTER_TURN = np.array([[0, -1], [1, 0]])
_MIRROR = np.array([[-1, 0], [0, 1]])


@dataclass(frozen=True, slots=True)
class Display:
    """Steps from the coded frame to the displayed one, in this order."""

    coded_px: tuple[int, int]
    """Coded width and height; all sizes here are (width, height)."""
    sample_aspect: Fraction
    """Width of a coded pixel over its height; the frame is stretched to square pixels."""
    mirrored: bool
    """True if the stretched frame is flipped left to right."""
    rotation_deg: int
    """Clockwise rotation after that: 0, 90, 180 or 270."""

    @property
    def stretched_px(self) -> tuple[int, int]:
        """Size before the rotation."""
        width_px, height_px = self.coded_px
        if self.sample_aspect > 1:
            return round(width_px * self.sample_aspect), height_px
        return width_px, round(height_px / self.sample_aspect)

    @property
    def size_px(self) -> tuple[int, int]:
        """Display size."""
        width_px, height_px = self.stretched_px
        return (height_px, width_px) if self.rotation_deg in {90, 270} else (width_px, height_px)

    def upright(self, stretched: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Mirror and rotate a stretched uint8 (H, W, 3) image; return it C-contiguous."""
        image = cv2.flip(stretched, 1) if self.mirrored else stretched
        if self.rotation_deg:
            image = cv2.rotate(image, _ROTATIONS[self.rotation_deg])
        return np.ascontiguousarray(image, np.uint8)


def display_of(frame: VideoFrame, stream: VideoStream) -> Display:
    """Return the display that a frame and its container declare."""
    mirrored, rotation_deg = _orientation(frame)
    return Display(
        coded_px=(frame.width, frame.height),
        # FFmpeg prefers the container's value to the codec's; 0 or None if neither has one.
        sample_aspect=Fraction(stream.sample_aspect_ratio or 1),
        mirrored=mirrored,
        rotation_deg=rotation_deg,
    )


def _orientation(frame: VideoFrame) -> tuple[bool, int]:
    """Return (mirrored, rotation_deg); for any other matrix, the most similar orientation.

    A display matrix is three rows of fixed point numbers (libavutil/display.h); the first two
    numbers of the first two rows are the images of the frame's axes.
    """
    try:
        matrix = _display_matrix(frame)
    except ValueError:
        # PyAV reports the rotation even if it cannot read the side data.
        return False, round(-frame.rotation / 90) % 4 * 90
    if matrix is None:
        return False, 0
    axes = np.frombuffer(matrix, "<i4").reshape(3, 3)[:2, :2].T.astype(np.float64)
    choices = [(mirrored, quarters) for mirrored in (False, True) for quarters in range(4)]

    def similarity(choice: tuple[bool, int]) -> float:
        mirrored, quarters = choice
        matrix = np.linalg.matrix_power(_QUARTER_TURN, quarters)
        return float((axes * (matrix @ _MIRROR if mirrored else matrix)).sum())

    mirrored, quarters = max(choices, key=similarity)
    return mirrored, 90 * quarters


def _display_matrix(frame: VideoFrame) -> Any:
    """Return the display matrix, or None; raise ValueError if PyAV cannot read the side data."""
    try:
        return frame.side_data.get("DISPLAYMATRIX")
    except ValueError:
        # PyAV 18 returns no side data if it does not know every type in it, such as a photo's EXIF.
        return _without_unknown_side_data(frame).side_data.get("DISPLAYMATRIX")


def _without_unknown_side_data(frame: VideoFrame) -> VideoFrame:
    """Return a copy of the frame without side data that PyAV does not know."""
    graph = Graph()
    deletions = [graph.add("sidedata", f"mode=delete:type={kind}") for kind in _UNKNOWN_TYPES]
    size_px = (frame.width, frame.height)
    source = graph.add_buffer(None, *size_px, frame.format, time_base=frame.time_base)
    graph.link_nodes(source, *deletions, graph.add("buffersink")).configure()
    graph.vpush(frame)
    return graph.vpull()
