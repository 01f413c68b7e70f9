"""The number clips that decoding and seeking are tried on, by name, and what they must show."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pvtt_flow.types import Frame
from pvtt_flow.video.decode import TruncatedVideoError
from pvtt_flow.video.read import read_frames
from tests.video.clip_edits import TWO_SCENES, cut, edited, joined, retimed, spliced
from tests.video.clip_maker import encode_images, moving_image

NUM_FRAMES = 48
CLOSED = {"preset": "fast", "g": "12"}
OPEN = {"preset": "fast", "g": "12", "x264-params": "open-gop=1:bframes=3:b-pyramid=normal"}
HEVC = {
    "preset": "fast",
    "x265-params": "keyint=12:min-keyint=12:open-gop=1:bframes=4:log-level=none",
}
INTRA_REFRESH = {"g": "12", "x264-params": "intra-refresh=1"}
REALTIME = {"g": "12", "deadline": "realtime", "cpu-used": "8"}
MPEG = {"g": "12", "bf": "2"}
FRAGMENTS = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}


def even_ms(start_ms: int, num_frames: int = NUM_FRAMES) -> list[int]:
    """25 a second."""
    return [start_ms + 40 * i for i in range(num_frames)]


UNEVEN_MS = [0, *np.cumsum(np.random.default_rng(0).integers(5, 90, NUM_FRAMES - 1)).tolist()]
LATE_MS = even_ms(700)
REPEATED_MS = [80 * (i // 2) if 20 <= i < 40 else 40 * i for i in range(NUM_FRAMES)]


@dataclass(frozen=True)
class Recipe:
    """How a clip is made, and the numbers and times of the pictures that it must show."""

    make: Callable[[Path], Path]
    pts_ms: Sequence[int] = tuple(even_ms(0))
    numbers: Sequence[int] = range(NUM_FRAMES)
    is_cut: bool = False
    """Then how many come before the break is the encoder's affair."""

    def made(self, folder: Path) -> "Clip":
        """The clip, in this folder."""
        path = self.make(folder)
        frames: list[Frame] = []
        with path.open("rb") as file, suppress(TruncatedVideoError):
            frames.extend(read_frames(file))
        return Clip(path, self, frames)


@dataclass(frozen=True)
class Clip:
    path: Path
    recipe: Recipe
    frames: list[Frame]
    """All of them, decoded from the start."""


def moving(name: str, **options: object) -> Callable[[Path], Path]:
    """Makes a clip of moving pictures; `options` are of `write_pictures`."""
    return lambda folder: encode_images(
        folder / name, [moving_image(i) for i in range(NUM_FRAMES)], **options
    )


def after(make: Callable[[Path], Path], change: Callable[[Path], Path]) -> Callable[[Path], Path]:
    """Makes a clip and changes it."""
    return lambda folder: change(make(folder))


CLIPS = {
    "closed groups": Recipe(moving("c.mp4", options=CLOSED)),
    "open groups": Recipe(moving("c.mp4", options=OPEN)),
    "open groups, Matroska": Recipe(moving("c.mkv", options=OPEN)),
    "intra refresh": Recipe(moving("c.mp4", options=INTRA_REFRESH)),
    "VP9": Recipe(moving("c.webm", codec="libvpx-vp9", options=REALTIME)),
    "HEVC": Recipe(moving("c.mp4", codec="libx265", options=HEVC)),
    "MPEG-2 transport stream": Recipe(
        moving("c.ts", codec="mpeg2video", options=MPEG), even_ms(40)
    ),
    "MPEG-4 in AVI": Recipe(moving("c.avi", codec="mpeg4", options=MPEG), even_ms(40)),
    "VP8": Recipe(moving("c.webm", codec="libvpx", options=REALTIME)),
    "AV1": Recipe(moving("c.mp4", codec="libsvtav1", options={"g": "12", "preset": "12"})),
    "ProRes": Recipe(moving("c.mov", codec="prores_ks", pixel_format="yuv422p10le")),
    "GIF": Recipe(moving("c.gif", codec="gif", pixel_format="rgb8")),
    "Flash": Recipe(moving("c.flv", options=OPEN), even_ms(80)),
    "Windows Media": Recipe(moving("c.wmv", codec="wmv2", options={"g": "12"})),
    "MPEG-1 program stream": Recipe(
        moving("c.mpg", codec="mpeg1video", options=MPEG), even_ms(540)
    ),
    "Motion JPEG": Recipe(moving("c.mkv", codec="mjpeg", pixel_format="yuvj420p")),
    "uneven times": Recipe(moving("c.mkv", options=CLOSED, pts_ms=UNEVEN_MS), UNEVEN_MS),
    "uneven times, MP4": Recipe(moving("c.mp4", options=OPEN, pts_ms=UNEVEN_MS), UNEVEN_MS),
    "late start": Recipe(moving("c.mp4", options=OPEN, pts_ms=LATE_MS), LATE_MS),
    "late start, Matroska": Recipe(moving("c.mkv", options=OPEN, pts_ms=LATE_MS), LATE_MS),
    # FFmpeg writes an edit list for it, and shows nothing of what is before 0.
    "early start": Recipe(
        moving("c.mov", options=CLOSED, pts_ms=even_ms(-720)), even_ms(0, 30), range(18, 48)
    ),
    # Edit lists of fragmented files only shift their times.
    "negative start": Recipe(
        moving(
            "c.mp4",
            options=CLOSED,
            pts_ms=even_ms(-720),
            container_options={"movflags": "frag_keyframe+delay_moov"},
        ),
        even_ms(-720),
    ),
    "repeated times": Recipe(lambda folder: retimed(folder, REPEATED_MS), REPEATED_MS),
    "turned": Recipe(moving("c.mp4", options=CLOSED, rotation_deg=90)),
    "turned twice": Recipe(moving("c.mov", options=OPEN, rotation_deg=180)),
    "turned back, HEVC": Recipe(moving("c.mp4", codec="libx265", options=HEVC, rotation_deg=270)),
    # From the middle of a group of pictures: frames 12 to 16 are decoded and not shown.
    "edit list": Recipe(
        after(moving("c.mp4", options=CLOSED), lambda path: edited(path, 17, 48)),
        even_ms(0, 31),
        range(17, 48),
    ),
    "edit list, open groups": Recipe(
        after(moving("c.mp4", options=OPEN), lambda path: edited(path, 5, 45)),
        even_ms(0, 40),
        range(5, 45),
    ),
    "fragments": Recipe(moving("c.mp4", options=CLOSED, container_options=FRAGMENTS), even_ms(80)),
    "no index": Recipe(moving("c.mkv", options=CLOSED, container_options={"live": "1"})),
    "no times": Recipe(moving("c.h264", options=CLOSED, container_format="h264")),
    "cut": Recipe(after(moving("c.mp4", options=CLOSED), lambda path: cut(path, 0.7)), is_cut=True),
    "cut, Matroska": Recipe(
        after(moving("c.mkv", options=CLOSED), lambda path: cut(path, 0.7)), is_cut=True
    ),
    "two in one": Recipe(
        lambda folder: joined(folder, ".mkv", options=CLOSED), 2 * even_ms(0, 24), TWO_SCENES
    ),
    "two in one, MP4": Recipe(
        lambda folder: joined(folder, ".mp4", options=CLOSED, container_options=FRAGMENTS),
        # FFmpeg takes the second's first fragment for one that it has read: both are at 0.
        [*even_ms(80, 24), *even_ms(560, 12)],
        [*range(24), *range(112, 124)],
    ),
    "two in one, transport stream": Recipe(
        lambda folder: joined(
            folder,
            ".ts",
            second_ms=1040,
            options=CLOSED,
            container_options={"mpegts_flags": "initial_discontinuity"},
        ),
        even_ms(80),
        TWO_SCENES,
    ),
    "two scenes": Recipe(
        lambda folder: spliced(folder, ".mp4", options=CLOSED), numbers=TWO_SCENES
    ),
    "two scenes, Matroska": Recipe(
        lambda folder: spliced(folder, ".mkv", options=OPEN), numbers=TWO_SCENES
    ),
}
