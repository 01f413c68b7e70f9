"""Conform frames to one picture: crop them as the container says, and scale them to the first one.

Decoders do neither. FFmpeg's command line does both, with the same filters.
"""

import re
from contextlib import suppress
from typing import NamedTuple, TypeAlias

from av import logging
from av.container import InputContainer
from av.filter import Graph
from av.video.frame import VideoFrame

from pvtt_flow.errors import DataError
from pvtt_flow.video.color.rgb import filter_graph
from pvtt_flow.video.container import FFMPEG_ERRORS, OpenVideo, ffmpeg_message
from pvtt_flow.video.limits import Limits

_STREAM = re.compile(r" +Stream #0:(\d+)")
_CROPPING = re.compile(r" +Frame Cropping: (\d+)/(\d+)/(\d+)/(\d+)")


_Layout: TypeAlias = tuple[int, int, str]


class Cropping(NamedTuple):
    """Pixels that the container crops from each side of the decoded picture."""

    left: int
    right: int
    top: int
    bottom: int


class FrameConformer:
    """Conforms the frames of one video, of which the first one decides size and pixel format."""

    def __init__(self, opened: OpenVideo, limits: Limits) -> None:
        self._limits = limits
        self._cropping = cropping_of(opened.container, opened.stream.index)
        # Width, height and pixel format: of the frames before, decoded and conformed.
        self._first_decoded: _Layout | None = None
        self._conformed: _Layout | None = None
        self._decoded: _Layout | None = None
        self._graph: Graph | None = None

    def __call__(self, frame: VideoFrame) -> VideoFrame:
        """Return the frame, cropped and scaled; its time and properties stay.

        Raises DataError of kind `over_limit` for a frame that is too large, and `undecodable` for
        one that FFmpeg cannot convert.
        """
        decoded = _layout(frame)
        try:
            if decoded != self._decoded:
                self._limits.check_size(frame.width, frame.height)
                self._decoded, self._graph = decoded, self._graph_for(frame)
            if self._graph is not None:
                self._graph.vpush(frame)
                frame = self._graph.vpull()
        except FFMPEG_ERRORS as error:
            raise DataError(
                "undecodable",
                f"frames must be of a kind that FFmpeg converts to that of the first one, got "
                f"{'{}x{} {}'.format(*decoded)}: {ffmpeg_message(error)}; transcode the video",
            ) from error
        if self._conformed is None:
            self._first_decoded, self._conformed = decoded, _layout(frame)
        return frame

    def _graph_for(self, frame: VideoFrame) -> Graph | None:
        """Return the filters for frames like this one; None if they need none."""
        filters: list[tuple[str, str]] = []
        if self._conformed is not None and _layout(frame) != self._first_decoded:
            width_px, height_px, pixel_format = self._conformed
            scale = f"w={width_px}:h={height_px}:flags=bicubic"
            filters = [("scale", scale), ("format", pixel_format)]
        if self._cropping is not None:
            left, right, top, bottom = self._cropping
            crop = f"w=iw-{left}-{right}:h=ih-{top}-{bottom}:x={left}:y={top}"
            # FFmpeg's command line fails if nothing is left; here such a frame is not cropped.
            with suppress(*FFMPEG_ERRORS):
                return filter_graph(frame, ("crop", crop), *filters)
        return filter_graph(frame, *filters) if filters else None


def cropping_of(container: InputContainer, stream_index: int) -> Cropping | None:
    """Return the cropping that a container declares for a stream; None if it declares none.

    That is PixelCrop in Matroska and `clap` in MP4. PyAV has no access to it, but prints it.
    """
    level, skips_repeated = logging.get_level(), logging.get_skip_repeated()
    logging.set_level(logging.INFO)
    logging.set_skip_repeated(False)
    try:
        # Missing in PyAV's type stubs.
        lines = container.dumps_format().splitlines()  # type: ignore[attr-defined]
    finally:
        logging.set_level(level)
        logging.set_skip_repeated(skips_repeated)
    index: int | None = None
    for line in lines:
        if stream := _STREAM.match(line):
            index = int(stream[1])
        elif index == stream_index and (found := _CROPPING.fullmatch(line.rstrip())):
            return Cropping(*map(int, found.groups()))
    return None


def _layout(frame: VideoFrame) -> _Layout:
    return frame.width, frame.height, frame.format.name
