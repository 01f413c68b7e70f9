"""Write small videos whose frames show their number.

The number is coded in the top left corner as black and white blocks, lowest bit first, so a frame
that is late, rotated or mirrored gives a wrong number.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TypedDict, Unpack

import av
import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray

from pvtt_flow.core.timeline import SamplingParams
from pvtt_flow.types import Frame, Video
from pvtt_flow.video.limits import FrameTimer, Limits
from pvtt_flow.video.read import read_frames

WIDTH_PX, HEIGHT_PX = 96, 64
_BLOCK_PX = 8
_NUM_BITS = 8


class EncodeOptions(TypedDict, total=False):
    """Arguments of `encode_images`."""

    codec: str
    pixel_format: str
    pts_ms: Sequence[int]
    rotation_deg: int
    sample_aspect: Fraction
    container_format: str
    options: dict[str, str]
    container_options: dict[str, str]


class ReadOptions(TypedDict, total=False):
    """Arguments of `read_frames`."""

    video: Video
    sampling: SamplingParams
    limits: Limits
    timer: FrameTimer
    start_frame: int
    stop_frame: int


def numbered_image(
    number: int, *, width_px: int = WIDTH_PX, height_px: int = HEIGHT_PX
) -> NDArray[np.uint8]:
    """Return uint8 (H, W, 3): the number's code over noise, so that the file stays large."""
    rgb = np.random.default_rng(number).integers(64, 192, (height_px, width_px, 3), np.uint8)
    for bit in range(_NUM_BITS):
        x = bit * _BLOCK_PX
        rgb[:_BLOCK_PX, x : x + _BLOCK_PX] = 255 * (number >> bit & 1)
    return rgb


def number_of(rgb: NDArray[np.uint8]) -> int:
    """Return the number in the code; -1 if the blocks are neither black nor white."""
    blocks = rgb[:_BLOCK_PX, : _NUM_BITS * _BLOCK_PX].reshape(_BLOCK_PX, _NUM_BITS, -1)
    levels = blocks.mean(axis=(0, 2))
    if np.any((levels > 60) & (levels < 195)):
        return -1
    return sum(1 << bit for bit, level in enumerate(levels) if level > 128)


def moving_image(number: int) -> NDArray[np.uint8]:
    """Return uint8 (H, W, 3): the number's code over moving blocks, so that frames are predicted.

    A new scene begins every 13 images.
    """
    blocks = np.random.default_rng(number // 13).integers(0, 256, (16, 24, 3), np.uint8)
    large = blocks.repeat(8, 0).repeat(8, 1)
    rgb = np.roll(large, (2 * number, 3 * number), (0, 1))[:HEIGHT_PX, :WIDTH_PX].copy()
    rgb[:_BLOCK_PX, : _NUM_BITS * _BLOCK_PX] = numbered_image(number)[
        :_BLOCK_PX, : _NUM_BITS * _BLOCK_PX
    ]
    return rgb


def write_clip(
    path: Path,
    num_frames: int,
    *,
    size_px: tuple[int, int] = (WIDTH_PX, HEIGHT_PX),
    **arguments: Unpack[EncodeOptions],
) -> Path:
    """Write an H.264 clip of noise; `arguments` are those of `encode_images`."""
    images = [
        numbered_image(i, width_px=size_px[0], height_px=size_px[1]) for i in range(num_frames)
    ]
    arguments["options"] = {"preset": "veryfast", "crf": "20", **arguments.get("options", {})}
    return encode_images(path, images, **arguments)


def encode_images(
    path: Path,
    upright: Sequence[NDArray[np.uint8]],
    *,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    pts_ms: Sequence[int] | None = None,
    rotation_deg: int = 0,
    sample_aspect: Fraction | None = None,
    container_format: str | None = None,
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
) -> Path:
    """Write a clip at 25 fps or at `pts_ms`; `rotation_deg` is the clockwise turn to upright."""
    coded = [np.ascontiguousarray(np.rot90(rgb, rotation_deg // 90)) for rgb in upright]
    # Write the index first, so that a truncated file still opens.
    index_first = {"movflags": "+faststart"} if path.suffix == ".mp4" else {}
    index_first |= container_options or {}
    with (
        unchanged_priority(),
        av.open(path, "w", format=container_format, options=index_first) as file,
    ):
        stream = file.add_stream(codec, rate=25, options=options or {})
        assert isinstance(stream, VideoStream)
        stream.width, stream.height = coded[0].shape[1], coded[0].shape[0]
        stream.pix_fmt = pixel_format
        if rotation_deg:
            stream.set_display_rotation(-rotation_deg)
        if sample_aspect is not None:
            stream.sample_aspect_ratio = sample_aspect
        if pts_ms:
            stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        for i, rgb in enumerate(coded):
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
            frame.time_base = Fraction(1, 1000)
            frame.pts = pts_ms[i] if pts_ms else 40 * i
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path


@contextmanager
def unchanged_priority() -> Iterator[None]:
    """Give this thread its scheduling policy back at the end.

    SVT-AV1 makes the thread of a root user that encodes a real-time one, of the highest priority
    (`check_set_prio` in its `svt_threads.c`), and leaves it so. Every process that the tests start
    later would inherit that; one that spins, as servers do, then stops the whole machine.
    """
    policy, params = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        os.sched_setscheduler(0, policy, params)


def write_sound(path: Path) -> Path:
    """Write an audio file: a tenth of a second of silence."""
    with av.open(path, "w", format="mp4") as file:
        stream = file.add_stream("aac", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.float32), "fltp", "mono")
        frame.sample_rate, frame.pts = 8000, 0
        file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path


def read(path: Path, **options: Unpack[ReadOptions]) -> list[Frame]:
    """Return all frames of a file; `options` are arguments of `read_frames`."""
    with path.open("rb") as file:
        return list(read_frames(file, **options))
