"""Clips for tests of decoding and seeking, by name, with the frames that they must show."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Unpack

import numpy as np

from pvtt_flow.types import Frame
from pvtt_flow.video.decode import TruncatedVideoError
from pvtt_flow.video.read import read_frames
from tests.video.clip_edits import (
    TWO_SCENES,
    concatenate_recordings,
    remux_with_times,
    set_edit_list,
    splice_scenes,
    truncate_file,
)
from tests.video.clip_maker import EncodeOptions, encode_images, moving_image

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
    """Return times at 25 frames per second."""
    return [start_ms + 40 * i for i in range(num_frames)]


UNEVEN_MS = [0, *np.cumsum(np.random.default_rng(0).integers(5, 90, NUM_FRAMES - 1)).tolist()]
LATE_MS = even_ms(700)
REPEATED_MS = [80 * (i // 2) if 20 <= i < 40 else 40 * i for i in range(NUM_FRAMES)]


@dataclass(frozen=True)
class ClipRecipe:
    """Recipe of a clip, with the numbers and times of the frames that it must show."""

    make: Callable[[Path], Path]
    pts_ms: Sequence[int] = tuple(even_ms(0))
    numbers: Sequence[int] = range(NUM_FRAMES)
    is_truncated: bool = False
    """True for a truncated file; its number of frames depends on the encoder."""
    restarts_at: int | None = None
    """Frame at which the clock restarts; FFmpeg repeats the time before it from there on."""

    def write(self, folder: Path) -> "NumberedClip":
        """Write the clip into this folder."""
        path = self.make(folder)
        frames: list[Frame] = []
        with path.open("rb") as file, suppress(TruncatedVideoError):
            frames.extend(read_frames(file))
        return NumberedClip(path, self, frames)


@dataclass(frozen=True)
class NumberedClip:
    path: Path
    recipe: ClipRecipe
    frames: list[Frame]
    """Frames of the clip, decoded from the start."""


def moving_clip(name: str, **options: Unpack[EncodeOptions]) -> Callable[[Path], Path]:
    """Return a function that writes a clip; `options` are arguments of `encode_images`."""
    return lambda folder: encode_images(
        folder / name, [moving_image(i) for i in range(NUM_FRAMES)], **options
    )


def then_edit(
    make: Callable[[Path], Path], change: Callable[[Path], Path]
) -> Callable[[Path], Path]:
    """Return a function that writes a clip and edits it."""
    return lambda folder: change(make(folder))


CLIPS = {
    "closed groups": ClipRecipe(moving_clip("c.mp4", options=CLOSED)),
    "open groups": ClipRecipe(moving_clip("c.mp4", options=OPEN)),
    "open groups, Matroska": ClipRecipe(moving_clip("c.mkv", options=OPEN)),
    "intra refresh": ClipRecipe(moving_clip("c.mp4", options=INTRA_REFRESH)),
    "VP9": ClipRecipe(moving_clip("c.webm", codec="libvpx-vp9", options=REALTIME)),
    "HEVC": ClipRecipe(moving_clip("c.mp4", codec="libx265", options=HEVC)),
    "MPEG-2 transport stream": ClipRecipe(
        moving_clip("c.ts", codec="mpeg2video", options=MPEG), even_ms(40)
    ),
    "MPEG-4 in AVI": ClipRecipe(moving_clip("c.avi", codec="mpeg4", options=MPEG), even_ms(40)),
    "VP8": ClipRecipe(moving_clip("c.webm", codec="libvpx", options=REALTIME)),
    "AV1": ClipRecipe(moving_clip("c.mp4", codec="libsvtav1", options={"g": "12", "preset": "12"})),
    "ProRes": ClipRecipe(moving_clip("c.mov", codec="prores_ks", pixel_format="yuv422p10le")),
    "GIF": ClipRecipe(moving_clip("c.gif", codec="gif", pixel_format="rgb8")),
    "Flash": ClipRecipe(moving_clip("c.flv", options=OPEN), even_ms(80)),
    "Windows Media": ClipRecipe(moving_clip("c.wmv", codec="wmv2", options={"g": "12"})),
    "MPEG-1 program stream": ClipRecipe(
        moving_clip("c.mpg", codec="mpeg1video", options=MPEG), even_ms(540)
    ),
    "Motion JPEG": ClipRecipe(moving_clip("c.mkv", codec="mjpeg", pixel_format="yuvj420p")),
    "uneven times": ClipRecipe(moving_clip("c.mkv", options=CLOSED, pts_ms=UNEVEN_MS), UNEVEN_MS),
    "uneven times, MP4": ClipRecipe(
        moving_clip("c.mp4", options=OPEN, pts_ms=UNEVEN_MS), UNEVEN_MS
    ),
    "late start": ClipRecipe(moving_clip("c.mp4", options=OPEN, pts_ms=LATE_MS), LATE_MS),
    "late start, Matroska": ClipRecipe(moving_clip("c.mkv", options=OPEN, pts_ms=LATE_MS), LATE_MS),
    # FFmpeg writes an edit list for it, and drops the frames before 0.
    "early start": ClipRecipe(
        moving_clip("c.mov", options=CLOSED, pts_ms=even_ms(-720)), even_ms(0, 30), range(18, 48)
    ),
    # Edit lists of fragmented files only shift their times.
    "negative start": ClipRecipe(
        moving_clip(
            "c.mp4",
            options=CLOSED,
            pts_ms=even_ms(-720),
            container_options={"movflags": "frag_keyframe+delay_moov"},
        ),
        even_ms(-720),
    ),
    "repeated times": ClipRecipe(lambda folder: remux_with_times(folder, REPEATED_MS), REPEATED_MS),
    "turned": ClipRecipe(moving_clip("c.mp4", options=CLOSED, rotation_deg=90)),
    "turned twice": ClipRecipe(moving_clip("c.mov", options=OPEN, rotation_deg=180)),
    "turned back, HEVC": ClipRecipe(
        moving_clip("c.mp4", codec="libx265", options=HEVC, rotation_deg=270)
    ),
    # Starts inside a group of pictures: frames 12 to 16 are decoded and dropped.
    "edit list": ClipRecipe(
        then_edit(moving_clip("c.mp4", options=CLOSED), lambda path: set_edit_list(path, 17, 48)),
        even_ms(0, 31),
        range(17, 48),
    ),
    "edit list, open groups": ClipRecipe(
        then_edit(moving_clip("c.mp4", options=OPEN), lambda path: set_edit_list(path, 5, 45)),
        even_ms(0, 40),
        range(5, 45),
    ),
    "fragments": ClipRecipe(
        moving_clip("c.mp4", options=CLOSED, container_options=FRAGMENTS), even_ms(80)
    ),
    "no index": ClipRecipe(moving_clip("c.mkv", options=CLOSED, container_options={"live": "1"})),
    "no times": ClipRecipe(moving_clip("c.h264", options=CLOSED, container_format="h264")),
    "cut": ClipRecipe(
        then_edit(moving_clip("c.mp4", options=CLOSED), lambda path: truncate_file(path, 0.7)),
        is_truncated=True,
    ),
    "cut, Matroska": ClipRecipe(
        then_edit(moving_clip("c.mkv", options=CLOSED), lambda path: truncate_file(path, 0.7)),
        is_truncated=True,
    ),
    "two in one": ClipRecipe(
        lambda folder: concatenate_recordings(folder, ".mkv", options=CLOSED),
        even_ms(0),
        TWO_SCENES,
        restarts_at=24,
    ),
    "two in one, MP4": ClipRecipe(
        lambda folder: concatenate_recordings(
            folder, ".mp4", options=CLOSED, container_options=FRAGMENTS
        ),
        # FFmpeg skips the first fragment of the second recording, since it has read one at time 0.
        even_ms(80, 36),
        [*range(24), *range(112, 124)],
        restarts_at=24,
    ),
    "two in one, transport stream": ClipRecipe(
        lambda folder: concatenate_recordings(
            folder,
            ".ts",
            second_ms=1040,
            options=CLOSED,
            container_options={"mpegts_flags": "initial_discontinuity"},
        ),
        even_ms(80),
        TWO_SCENES,
    ),
    "two scenes": ClipRecipe(
        lambda folder: splice_scenes(folder, ".mp4", options=CLOSED), numbers=TWO_SCENES
    ),
    "two scenes, Matroska": ClipRecipe(
        lambda folder: splice_scenes(folder, ".mkv", options=OPEN), numbers=TWO_SCENES
    ),
}
