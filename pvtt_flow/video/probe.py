"""Probe a video: read the container's header and decode the first frame, in a few ranged reads."""

import io
from typing import BinaryIO

from av.container import InputContainer
from av.video.stream import VideoStream

from pvtt_flow.core.timeline import NS_PER_S, to_ns
from pvtt_flow.errors import DataError
from pvtt_flow.types import Video
from pvtt_flow.video.clock import nominal_rate, own_rate
from pvtt_flow.video.container import open_container
from pvtt_flow.video.decode import decode_frames
from pvtt_flow.video.limits import DEFAULT_LIMITS, NO_TIMER, FrameTimer, Limits

# AV_TIME_BASE: the unit of a container's own duration.
_CONTAINER_TICKS_PER_S = 1_000_000
# Formats whose header has the end of the last frame, on a clock that may start late.
_DECLARE_END = ("matroska,webm", "nut", "asf")


def probe(
    file: BinaryIO,
    *,
    size_bytes: int,
    limits: Limits = DEFAULT_LIMITS,
    timer: FrameTimer = NO_TIMER,
) -> Video:
    """Return the facts of the main video stream (see `container.main_stream`).

    Size, pixel format and display come from the first decoded frame, as headers may be wrong.

    Raises DataError of kind `empty_file`, `over_limit`, `not_a_video`, `no_video_stream`,
    `undecodable` or `unreadable`.
    """
    # A web server may not tell sizes. Those of a folder's frames are known.
    if size_bytes == 0 and getattr(file, "pictures", None) is None:
        size_bytes = _size_of(file)
    if size_bytes == 0:
        raise DataError(
            "empty_file",
            "the file must have content, got 0 bytes; upload it again or take it out of the input",
        )
    limits.check_bytes(size_bytes)
    with open_container(file, limits, timer) as opened:
        first = next(decode_frames(opened, limits))
        duration_ns = _duration_ns(opened.container, opened.stream, first.pts_ns)
        display = first.rgb_converter.display
        fps = own_rate(opened)
        num_frames = opened.stream.frames
        if fps != nominal_rate(opened):
            # A count at the rate of a wrong header counts frames that are missing.
            num_frames = min(num_frames, len(opened.stream.index_entries))
        limits.check_length(num_frames, duration_ns or 0)
        return Video(
            container=opened.container.format.name,
            codec=opened.stream.codec_context.codec.canonical_name,
            pixel_format=first.av_frame.format.name,
            width_px=display.size_px[0],
            height_px=display.size_px[1],
            coded_width_px=display.coded_px[0],
            coded_height_px=display.coded_px[1],
            sample_aspect_num=display.sample_aspect.numerator,
            sample_aspect_den=display.sample_aspect.denominator,
            mirrored=display.mirrored,
            rotation_deg=display.rotation_deg,
            fps_num=fps.numerator,
            fps_den=fps.denominator,
            duration_ns=duration_ns,
            num_frames_from_header=num_frames or None,
        )


def _size_of(file: BinaryIO) -> int:
    try:
        size_bytes = file.seek(0, io.SEEK_END)
        file.seek(0)
    except OSError as error:  # of a file in /proc, for example
        raise DataError(
            "unreadable",
            f"the file must be a regular one that has an end, but a seek failed ({error}); take it "
            "out of the input",
        ) from error
    return size_bytes


def _duration_ns(container: InputContainer, stream: VideoStream, start_ns: int) -> int | None:
    """Return the duration that the header declares; `start_ns` is the time of the first frame."""
    if stream.duration and stream.time_base:
        duration_ns = to_ns(stream.duration, stream.time_base)
    elif container.duration:
        duration_ns = container.duration * (NS_PER_S // _CONTAINER_TICKS_PER_S)
    else:
        return None
    starts_late = container.format.name in _DECLARE_END and 0 < start_ns < duration_ns
    return duration_ns - start_ns if starts_late else duration_ns
