"""Files that FFmpeg's command line writes, for containers and options that PyAV's wheel lacks."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

import imageio_ffmpeg

FPS = 24
H264 = ("-c:v", "libx264", "-preset", "fast", "-g", "12")
PYRAMID = ("-x264-params", "bframes=3:b-pyramid=normal:log-level=-1")
OPEN_GROUPS = ("-x264-params", "open-gop=1:bframes=3:b-pyramid=normal:log-level=-1")
HEVC = ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none:keyint=12")
MPEG2 = ("-c:v", "mpeg2video", "-g", "12", "-bf", "2")
THEORA = ("-c:v", "libtheora", "-q:v", "8")
VP8 = ("-c:v", "libvpx", "-g", "12", "-deadline", "realtime", "-cpu-used", "8")


def ffmpeg(*arguments: str | Path) -> None:
    """Run FFmpeg; raise CalledProcessError if it fails."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", "-y"]
    subprocess.run([*command, *map(str, arguments)], check=True, timeout=60)


def write_pattern(
    path: Path,
    *options: str,
    num_frames: int = 24,
    first: int = 0,
    size_px: tuple[int, int] = (96, 64),
    fps: int = FPS,
) -> Path:
    """Write frames of FFmpeg's test pattern, from its frame `first` on."""
    pattern = f"testsrc2=size={size_px[0]}x{size_px[1]}:rate={fps}"
    source = ("-f", "lavfi", "-i", f"{pattern},trim=start_frame={first},setpts=PTS-STARTPTS")
    ffmpeg(*source, "-frames:v", str(num_frames), "-threads", "1", *options, path)
    return path


def join(path: Path, parts: Sequence[Path]) -> Path:
    """Concatenate the bytes of the parts."""
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


def write_joined(path: Path, *options: str, starts_s: Sequence[float] = (0, 0, 0)) -> Path:
    """Join recordings of 24 frames, of which each starts at its time on the clock."""
    parts = [
        write_pattern(
            path.with_stem(f"part{number}"),
            *options,
            *("-output_ts_offset", str(start_s)),
            first=48 * number,
        )
        for number, start_s in enumerate(starts_s)
    ]
    return join(path, parts)
