"""Which frames a file shows and when, by PyAV and by the FFmpeg command line: a hash of each."""

import hashlib
import subprocess
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import imageio_ffmpeg

from pvtt_flow.core.timeline import to_ns
from pvtt_flow.video.container import open_container
from pvtt_flow.video.decode import TruncatedVideoError, decode_frames
from pvtt_flow.video.limits import DEFAULT_LIMITS


class FrameHash(NamedTuple):
    pts_ns: int
    md5: str
    """Of the planes as they were decoded: neither turned nor converted, without padding."""


class Shown(NamedTuple):
    stream_index: int
    frames: list[FrameHash]
    broke_at: int | None


def decoded_hashes(path: Path) -> Shown:
    """All frames of the main stream, as this package counts and times them, up to a break."""
    frames: list[FrameHash] = []
    broke_at = None
    with path.open("rb") as file, open_container(file, DEFAULT_LIMITS) as opened:
        try:
            frames.extend(
                FrameHash(decoded.pts_ns, _md5(decoded.av_frame))
                for decoded in decode_frames(opened, DEFAULT_LIMITS)
            )
        except TruncatedVideoError as error:
            broke_at = error.frame_index
        return Shown(opened.stream.index, frames, broke_at)


def ffmpeg_hashes(path: Path, stream_index: int, num_frames: int | None = None) -> list[FrameHash]:
    """The first frames of that stream, or all; FFmpeg goes on where the stream is damaged."""
    reading = ["-threads", "1", "-noautorotate", "-copyts", "-i", str(path)]
    # Without a rate of its own: else frames are dropped and repeated, and times are rounded.
    timing = ["-fps_mode", "passthrough", "-enc_time_base", "demux"]
    if num_frames is not None:
        timing += ["-frames:v", str(num_frames)]
    writing = ["-map", f"0:{stream_index}", *timing, "-f", "framehash", "-hash", "md5", "-"]
    ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "fatal", "-nostdin"]
    command = [*ffmpeg, *reading, *writing]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    lines = done.stdout.splitlines()
    time_base = next(Fraction(line.split()[-1]) for line in lines if line.startswith("#tb"))
    rows = [line.split(",") for line in lines if not line.startswith("#")]
    # stream, dts, pts, duration, size, hash
    return [FrameHash(to_ns(int(row[2]), time_base), row[5].strip()) for row in rows]


def _md5(av_frame: av.VideoFrame) -> str:
    """Of what FFmpeg calls rawvideo: plane after plane, row after row."""
    digest = hashlib.md5(usedforsecurity=False)
    for number, plane in enumerate(av_frame.planes):
        samples = [part for part in av_frame.format.components if part.plane == number]
        row_bytes = plane.width * sum((part.bits + 7) // 8 for part in samples)
        data = memoryview(plane)
        for y in range(plane.height):
            digest.update(data[y * plane.line_size :][:row_bytes])
    return digest.hexdigest()
