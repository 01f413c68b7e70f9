"""Hash and time of each frame of a file, from this package and from the FFmpeg command line."""

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
    """Time and hash of one frame."""

    pts_ns: int
    md5: str
    """Hash of the decoded planes: neither rotated nor converted, without padding."""


class FrameHashes(NamedTuple):
    """Frames of the main stream."""

    stream_index: int
    frames: list[FrameHash]
    truncated_at: int | None


def decoded_hashes(path: Path) -> FrameHashes:
    """Hash the frames that this package decodes, up to a truncation."""
    frames: list[FrameHash] = []
    truncated_at = None
    with path.open("rb") as file, open_container(file, DEFAULT_LIMITS) as opened:
        try:
            frames.extend(
                FrameHash(decoded.pts_ns, _md5(decoded.av_frame))
                for decoded in decode_frames(opened, DEFAULT_LIMITS)
            )
        except TruncatedVideoError as error:
            truncated_at = error.frame_index
        return FrameHashes(opened.stream.index, frames, truncated_at)


def ffmpeg_hashes(
    path: Path, stream_index: int, num_frames: int | None = None, *, copy_times: bool = True
) -> list[FrameHash]:
    """Hash the frames that FFmpeg decodes, at most `num_frames`; it goes on after corruption."""
    reading = ["-threads", "1", "-noautorotate", *["-copyts"] * copy_times, "-i", str(path)]
    # At a constant rate FFmpeg would drop and repeat frames, and round times.
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
    """Hash the frame in FFmpeg's rawvideo layout: plane after plane, row after row."""
    digest = hashlib.md5(usedforsecurity=False)
    for number, plane in enumerate(av_frame.planes):
        samples = [part for part in av_frame.format.components if part.plane == number]
        row_bytes = plane.width * sum((part.bits + 7) // 8 for part in samples)
        data = memoryview(plane)
        for y in range(plane.height):
            digest.update(data[y * plane.line_size :][:row_bytes])
    return digest.hexdigest()
