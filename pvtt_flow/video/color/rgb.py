"""Decoded pictures to upright RGB of eight bits, whatever they were coded as.

- Matrix and range are the picture's own. One that does not say its matrix is BT.709 if it is
  large, else BT.601, as players have it.
- PQ and HLG become standard dynamic range by `tone`. Wide-gamut SDR keeps its numbers.
- Transparent pictures are laid on white, as shops show products.
- Of an interlaced picture one field is kept and filled up, so that a frame shows one moment.
"""

from collections.abc import Callable
from contextlib import suppress
from functools import cache, partial
from tempfile import NamedTemporaryFile

import numpy as np
from av.filter import Graph
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, ColorTrc, VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from pvtt_flow.errors import DataError
from pvtt_flow.video.color import tone_mapping
from pvtt_flow.video.color.display import display_of
from pvtt_flow.video.container import FFMPEG_ERRORS, reason_of

_TRANSFERS: dict[int, tone_mapping.Transfer] = {
    ColorTrc.SMPTE2084: "pq",
    ColorTrc.ARIB_STD_B67: "hlg",
}
_UNSPECIFIED = 2
# mpv's rule.
_HD_WIDTH_PX, _HD_HEIGHT_PX = 1280, 577
_CUBE_STEPS = 33
_WHITE = 255


class RgbConverter:
    """Paints the pictures of one video, all in the display of its first one."""

    def __init__(self, first: VideoFrame, stream: VideoStream) -> None:
        self.display = display_of(first, stream)
        # Each makes tables for its conversion once; a frame's own one would make them every time.
        self._reformatters: dict[str, VideoReformatter] = {}
        self._graphs: dict[tuple[object, ...], Graph] = {}

    def paint(self, picture: VideoFrame) -> NDArray[np.uint8]:
        """uint8 (H, W, 3) RGB at display size, C-contiguous.

        Raises DataError of kind `undecodable` for colours that FFmpeg cannot convert.
        """
        try:
            return self.display.upright(self._stretched_rgb(picture))
        except FFMPEG_ERRORS as error:
            raise DataError(
                "undecodable",
                f"the colours must be of a kind that FFmpeg converts to RGB, got "
                f"{picture.format.name} with matrix {picture.colorspace} and range "
                f"{picture.color_range} (H.273): {reason_of(error)}; transcode the video to BT.709",
            ) from error

    def _stretched_rgb(self, picture: VideoFrame) -> NDArray[np.uint8]:
        if picture.interlaced_frame:
            picture = self._deinterlaced(picture)
        transfer = _TRANSFERS.get(picture.color_trc)
        if transfer is not None:
            return self._toned(self._stretched(picture, "gbrp16le"), transfer)
        if _may_be_transparent(picture):
            return _on_white(np.asarray(self._stretched(picture, "rgba").to_ndarray(), np.uint8))
        return np.asarray(self._stretched(picture, "rgb24").to_ndarray(), np.uint8)

    def _stretched(self, picture: VideoFrame, pixel_format: str) -> VideoFrame:
        reformatter = self._reformatters.setdefault(pixel_format, VideoReformatter())
        return reformatter.reformat(
            picture,
            *self.display.stretched_px,
            format=pixel_format,
            src_colorspace=_matrix_of(picture),
            dst_color_range=ColorRange.JPEG,
        )

    def _toned(self, wide: VideoFrame, transfer: tone_mapping.Transfer) -> NDArray[np.uint8]:
        graph = self._graph(wide, transfer, partial(_by_table, transfer))
        graph.vpush(wide)
        toned = graph.vpull().to_ndarray()
        return np.asarray((toned.astype(np.uint32) * _WHITE + 32767) // 65535, np.uint8)

    def _deinterlaced(self, picture: VideoFrame) -> VideoFrame:
        """One field of it, filled up from within (FFmpeg's `estdif`), at full size."""
        # The filter gives a picture when the next one comes: here that is the same one again, so
        # that a frame does not depend on those before it.
        graph = self._graph(picture, "field", _one_field)
        for _ in range(2):
            graph.vpush(picture)
            with suppress(BlockingIOError):
                field = graph.vpull()
        return field

    def _graph(self, picture: VideoFrame, name: str, make: Callable[[VideoFrame], Graph]) -> Graph:
        key = (name, picture.width, picture.height, picture.format.name)
        if key not in self._graphs:
            self._graphs[key] = make(picture)
        return self._graphs[key]


def _one_field(like: VideoFrame) -> Graph:
    return _through(like, "estdif", "mode=frame:deint=all")


def _by_table(transfer: tone_mapping.Transfer, like: VideoFrame) -> Graph:
    # FFmpeg reads the table when the filter is made.
    with NamedTemporaryFile("w", suffix=".cube") as file:
        file.write(_cube(transfer))
        file.flush()
        return _through(like, "lut3d", f"file='{file.name}':interp=tetrahedral")


@cache
def _cube(transfer: tone_mapping.Transfer) -> str:
    return tone_mapping.cube(transfer, _CUBE_STEPS)


def _through(like: VideoFrame, name: str, options: str) -> Graph:
    """A filter for pictures like this one, which keeps their format."""
    graph = Graph()
    size_px = (like.width, like.height)
    graph.link_nodes(
        graph.add_buffer(None, *size_px, like.format, time_base=like.time_base),
        graph.add(name, options),
        graph.add("format", like.format.name),
        graph.add("buffersink"),
    ).configure()
    return graph


def _matrix_of(picture: VideoFrame) -> Colorspace | None:
    """The matrix to take; None for the picture's own."""
    if picture.colorspace != _UNSPECIFIED:
        return None
    is_hd = picture.width >= _HD_WIDTH_PX or picture.height >= _HD_HEIGHT_PX
    return Colorspace.ITU709 if is_hd else Colorspace.ITU601


def _may_be_transparent(picture: VideoFrame) -> bool:
    return picture.format.has_palette or any(c.is_alpha for c in picture.format.components)


def _on_white(rgba: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """uint8 (H, W, 4) with straight alpha to (H, W, 3)."""
    alpha = rgba[..., 3:].astype(np.uint16)
    mixed = rgba[..., :3] * alpha + _WHITE * (_WHITE - alpha)
    return np.asarray((mixed + _WHITE // 2) // _WHITE, np.uint8)
