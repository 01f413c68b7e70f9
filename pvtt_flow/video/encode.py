"""Encode frames: previews and clips as H.264 that every player reads, masks without loss."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.container import OutputContainer
from av.video.reformatter import ColorRange, Colorspace
from av.video.stream import VideoStream
from numpy.typing import NDArray

# Code of BT.709 in H.264. Players assume BT.709 for HD only, so files of all sizes declare it.
_BT709 = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoding:
    """Container and codec of a file."""

    container: str
    suffix: str
    codec: str
    pixel_format: str
    options: Mapping[str, str]


# Visually close to lossless at a fifth of the bytes.
PREVIEW = Encoding(
    container="mp4",
    suffix=".mp4",
    codec="libx264",
    pixel_format="yuv420p",
    options={"crf": "20", "preset": "veryfast"},
)
# 4:2:0 has whole pairs of pixels only; clips must keep their size, so odd ones take `CLIP_444`.
CLIP = replace(PREVIEW, options={"crf": "18", "preset": "medium"})
CLIP_444 = replace(CLIP, pixel_format="yuv444p")
LOSSLESS_H264 = replace(CLIP_444, options={"qp": "0", "preset": "veryfast"})
FFV1 = Encoding(
    container="matroska",
    suffix=".mkv",
    codec="ffv1",
    pixel_format="gray",
    options={"level": "3", "slicecrc": "1"},
)
# Pictures; masks are `FFV1`.
FFV1_444 = replace(FFV1, pixel_format="yuv444p")


def write_mp4(path: Path, frames: Iterable[NDArray[np.uint8]], fps: Fraction) -> int:
    """Write uint8 (H, W, 3) RGB frames at a constant rate, for a preview; return their number.

    Odd sizes are padded with a copy of the last row or column. Fails like `write_video`.
    """
    return write_video(path, map(_even, frames), fps, PREVIEW)


def write_video(
    path: Path, frames: Iterable[NDArray[np.uint8]], fps: Fraction, encoding: Encoding
) -> int:
    """Write uint8 (H, W, 3) RGB or (H, W) gray frames at a constant rate; return their number.

    Fails like `open_video`.
    """
    num_frames = 0
    with open_video(path, fps, encoding) as add:
        for frame in frames:
            add(frame)
            num_frames += 1
    return num_frames


@contextmanager
def open_video(
    path: Path, fps: Fraction, encoding: Encoding
) -> Iterator[Callable[[NDArray[np.uint8]], None]]:
    """Open a file for frames at a constant rate; yield the function that adds one.

    Frames are uint8 (H, W, 3) RGB or (H, W) gray. The file gets its name when it is complete; a
    failure leaves no file. Raises ValueError if there is no frame, and if a frame has another shape
    than the first one.
    """
    partial = path.with_name(f".{path.name}.partial")
    options = {"movflags": "+faststart"} if encoding.container == "mp4" else {}
    try:
        with av.open(partial, "w", format=encoding.container, options=options) as container:
            encoder = _Encoder(container, fps, encoding)
            yield encoder.add
            encoder.finish()
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _even(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = rgb.shape[:2]
    return np.pad(rgb, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")


class _Encoder:
    """Stream of a container; the first frame gives its size."""

    def __init__(self, container: OutputContainer, fps: Fraction, encoding: Encoding) -> None:
        self._container = container
        self._fps = fps
        self._encoding = encoding
        self._stream: VideoStream | None = None
        self._shape: tuple[int, ...] = ()
        self._num_frames = 0

    def add(self, picture: NDArray[np.uint8]) -> None:
        if self._stream is None:
            self._shape = picture.shape
            self._stream = _add_stream(
                self._container, picture.shape[0], picture.shape[1], self._fps, self._encoding
            )
        if picture.shape != self._shape or picture.shape[2:] not in ((), (3,)):
            raise ValueError(
                f"frame {self._num_frames} must have shape {self._shape}, got {picture.shape}"
            )
        frame = _converted(picture, self._encoding.pixel_format)
        frame.pts, frame.time_base = self._num_frames, 1 / self._fps
        self._container.mux(self._stream.encode(frame))
        self._num_frames += 1

    def finish(self) -> None:
        if self._stream is None:
            raise ValueError("frames must hold at least one frame, got none")
        self._container.mux(self._stream.encode(None))


def _converted(picture: NDArray[np.uint8], pixel_format: str) -> av.VideoFrame:
    if pixel_format == "gray":
        return av.VideoFrame.from_ndarray(picture, format="gray")
    rgb = picture if picture.ndim == 3 else np.repeat(picture[:, :, None], 3, axis=2)
    frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
    return frame.reformat(
        format=pixel_format, dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
    )


def _add_stream(
    container: OutputContainer, height_px: int, width_px: int, fps: Fraction, encoding: Encoding
) -> VideoStream:
    options = dict(encoding.options)
    stream = cast("VideoStream", container.add_stream(encoding.codec, rate=fps, options=options))
    stream.width, stream.height = width_px, height_px
    stream.pix_fmt = encoding.pixel_format
    if encoding.pixel_format != "gray":
        stream.codec_context.colorspace = _BT709
        stream.codec_context.color_primaries = _BT709
        stream.codec_context.color_trc = _BT709
        stream.codec_context.color_range = ColorRange.MPEG
    return stream
