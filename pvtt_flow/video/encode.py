"""Encode frames to an H.264 mp4 that every browser plays, for previews."""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import OutputContainer
from av.video.reformatter import ColorRange, Colorspace
from av.video.stream import VideoStream
from numpy.typing import NDArray

# Code of BT.709 in H.264. Players assume BT.709 for HD only, so files of all sizes declare it.
_BT709 = 1
# Visually close to lossless at a fifth of the bytes.
_OPTIONS = {"crf": "20", "preset": "veryfast"}


def write_mp4(path: Path, frames: Iterable[NDArray[np.uint8]], fps: Fraction) -> int:
    """Write uint8 (H, W, 3) RGB frames at a constant rate; return their number.

    Odd sizes are padded with a copy of the last row or column. The file gets its name when it is
    complete; a failure leaves no file. Raises ValueError if there is no frame, and if a frame has
    another shape than the first one.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        with av.open(partial, "w", format="mp4", options={"movflags": "+faststart"}) as container:
            num_frames = _encode(container, frames, fps)
        if num_frames == 0:
            raise ValueError("frames must hold at least one frame, got none")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return num_frames


def _encode(container: OutputContainer, frames: Iterable[NDArray[np.uint8]], fps: Fraction) -> int:
    stream: VideoStream | None = None
    shape: tuple[int, ...] = ()
    num_frames = 0
    for rgb in frames:
        if stream is None:
            shape = rgb.shape
            stream = _add_stream(container, shape[0], shape[1], fps)
        if rgb.shape != shape or rgb.ndim != 3 or rgb.shape[2] != 3:
            raise ValueError(f"frame {num_frames} must have shape {shape}, got {rgb.shape}")
        even = np.pad(rgb, ((0, shape[0] % 2), (0, shape[1] % 2), (0, 0)), mode="edge")
        frame = av.VideoFrame.from_ndarray(even, format="rgb24").reformat(
            format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
        )
        frame.pts, frame.time_base = num_frames, 1 / fps
        container.mux(stream.encode(frame))
        num_frames += 1
    if stream is not None:
        container.mux(stream.encode(None))
    return num_frames


def _add_stream(
    container: OutputContainer, height_px: int, width_px: int, fps: Fraction
) -> VideoStream:
    stream = container.add_stream("libx264", rate=fps, options=_OPTIONS)
    stream.width, stream.height = width_px + width_px % 2, height_px + height_px % 2
    stream.pix_fmt = "yuv420p"
    stream.codec_context.colorspace = _BT709
    stream.codec_context.color_primaries = _BT709
    stream.codec_context.color_trc = _BT709
    stream.codec_context.color_range = ColorRange.MPEG
    return stream
