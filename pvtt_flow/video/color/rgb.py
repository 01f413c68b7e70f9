"""Convert decoded frames of any pixel format to upright RGB of eight bits.

- Matrix and range are the frame's own. Without a matrix, large frames are BT.709 and others
  BT.601, as in players.
- PQ and HLG are tone-mapped to standard dynamic range. Wide-gamut SDR keeps its numbers.
- Transparent frames are composed over white, as shops show products.
- Of an interlaced frame one field is kept and interpolated, so that it shows one moment.
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
from pvtt_flow.video.container import FFMPEG_ERRORS, ffmpeg_message

_TRANSFERS: dict[int, tone_mapping.Transfer] = {
    ColorTrc.SMPTE2084: "pq",
    ColorTrc.ARIB_STD_B67: "hlg",
}
_UNSPECIFIED = 2
# Frames at least this wide or high are HD, as in mpv.
_HD_WIDTH_PX, _HD_HEIGHT_PX = 1280, 577
_CUBE_STEPS = 33
_WHITE = 255


class RgbConverter:
    """Converter for the frames of one video, which are all displayed like the first one."""

    def __init__(self, first: VideoFrame, stream: VideoStream) -> None:
        self.display = display_of(first, stream)
        # A reformatter computes its tables once; `frame.reformat` would compute them every time.
        self._reformatters: dict[str, VideoReformatter] = {}
        self._graphs: dict[tuple[object, ...], Graph] = {}

    def to_rgb(self, frame: VideoFrame) -> NDArray[np.uint8]:
        """Return uint8 (H, W, 3) RGB at display size, C-contiguous.

        Raises DataError of kind `undecodable` for colors that FFmpeg cannot convert.
        """
        try:
            return self.display.upright(self._stretched_rgb(frame))
        except FFMPEG_ERRORS as error:
            raise DataError(
                "undecodable",
                f"the colors must be of a kind that FFmpeg converts to RGB, got "
                f"{frame.format.name} with matrix {frame.colorspace} and range "
                f"{frame.color_range} (H.273): {ffmpeg_message(error)}; transcode "
                f"the video to BT.709",
            ) from error

    def _stretched_rgb(self, frame: VideoFrame) -> NDArray[np.uint8]:
        if frame.interlaced_frame:
            frame = self._deinterlaced(frame)
        transfer = _TRANSFERS.get(frame.color_trc)
        if transfer is not None:
            return self._tone_mapped(self._stretched(frame, "gbrp16le"), transfer)
        if _has_alpha(frame):
            return _over_white(np.asarray(self._stretched(frame, "rgba").to_ndarray(), np.uint8))
        return np.asarray(self._stretched(frame, "rgb24").to_ndarray(), np.uint8)

    def _stretched(self, frame: VideoFrame, pixel_format: str) -> VideoFrame:
        reformatter = self._reformatters.setdefault(pixel_format, VideoReformatter())
        return reformatter.reformat(
            frame,
            *self.display.stretched_px,
            format=pixel_format,
            src_colorspace=_source_matrix(frame),
            dst_color_range=ColorRange.JPEG,
        )

    def _tone_mapped(self, wide: VideoFrame, transfer: tone_mapping.Transfer) -> NDArray[np.uint8]:
        graph = self._graph(wide, transfer, partial(_tone_mapper, transfer))
        graph.vpush(wide)
        mapped = graph.vpull().to_ndarray()
        return np.asarray((mapped.astype(np.uint32) * _WHITE + 32767) // 65535, np.uint8)

    def _deinterlaced(self, frame: VideoFrame) -> VideoFrame:
        """Return one field, interpolated to full size by FFmpeg's `estdif`."""
        # The filter returns a frame when the next one arrives. It is pushed twice, so that the
        # result does not depend on the frames before it.
        graph = self._graph(frame, "field", _deinterlacer)
        for _ in range(2):
            graph.vpush(frame)
            with suppress(BlockingIOError):
                field = graph.vpull()
        return field

    def _graph(self, frame: VideoFrame, name: str, make: Callable[[VideoFrame], Graph]) -> Graph:
        key = (name, frame.width, frame.height, frame.format.name)
        if key not in self._graphs:
            self._graphs[key] = make(frame)
        return self._graphs[key]


def _deinterlacer(like: VideoFrame) -> Graph:
    return _same_format(like, ("estdif", "mode=frame:deint=all"))


def _tone_mapper(transfer: tone_mapping.Transfer, like: VideoFrame) -> Graph:
    # FFmpeg reads the table when the filter is created.
    with NamedTemporaryFile("w", suffix=".cube") as file:
        file.write(_cube(transfer))
        file.flush()
        return _same_format(like, ("lut3d", f"file='{file.name}':interp=tetrahedral"))


@cache
def _cube(transfer: tone_mapping.Transfer) -> str:
    return tone_mapping.cube(transfer, _CUBE_STEPS)


def _same_format(like: VideoFrame, *filters: tuple[str, str]) -> Graph:
    return filter_graph(like, *filters, ("format", like.format.name))


def filter_graph(like: VideoFrame, *filters: tuple[str, str]) -> Graph:
    """Return a graph of filters (name, options) for frames like this one."""
    graph = Graph()
    size_px = (like.width, like.height)
    graph.link_nodes(
        graph.add_buffer(None, *size_px, like.format, time_base=like.time_base),
        *(graph.add(name, options) for name, options in filters),
        graph.add("buffersink"),
    ).configure()
    return graph


def _source_matrix(frame: VideoFrame) -> Colorspace | None:
    """Return the matrix to assume; None for the frame's own."""
    if frame.colorspace != _UNSPECIFIED:
        return None
    is_hd = frame.width >= _HD_WIDTH_PX or frame.height >= _HD_HEIGHT_PX
    return Colorspace.ITU709 if is_hd else Colorspace.ITU601


def _has_alpha(frame: VideoFrame) -> bool:
    return frame.format.has_palette or any(c.is_alpha for c in frame.format.components)


def _over_white(rgba: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Compose uint8 (H, W, 4) with straight alpha over white, to (H, W, 3)."""
    alpha = rgba[..., 3:].astype(np.uint16)
    mixed = rgba[..., :3] * alpha + _WHITE * (_WHITE - alpha)
    return np.asarray((mixed + _WHITE // 2) // _WHITE, np.uint8)
