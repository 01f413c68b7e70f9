"""Footage of the benchmark: rendered clips in files, as long and as large as wanted."""

from collections.abc import Iterator
from fractions import Fraction
from itertools import cycle, islice
from math import sqrt
from pathlib import Path

from pvtt_flow.video.encode import write_mp4
from tests.bench.clips import Encoded, Filmed, render, resize, resized_prompts

_FPS = Fraction(24)


def write_footage(
    folder: Path, *, num_clips: int, num_rendered: int, num_frames: int, area_px: int
) -> list[Encoded]:
    """Write H.264 clips with five boxed products and about this many pixels a frame.

    Rendering is slow, so a few frames are played forward and backward.
    """
    return [
        _encoded(folder / f"footage-{number}.mp4", clip, num_frames, area_px)
        for number, clip in enumerate(render(num_clips, num_rendered))
    ]


def _encoded(path: Path, clip: Filmed, num_frames: int, area_px: int) -> Encoded:
    height, width = clip.size_px
    scale = sqrt(area_px / (height * width))
    # H.264 has whole pairs of pixels.
    size_px = round(height * scale / 2) * 2, round(width * scale / 2) * 2
    pictures = [resize(frame.rgb, size_px) for frame in clip.frames]
    write_mp4(path, (pictures[i] for i in there_and_back(len(pictures), num_frames)), _FPS)
    prompts = resized_prompts(clip.prompts, clip.size_px, size_px)
    return Encoded(path, num_frames, size_px, prompts)


def there_and_back(num_rendered: int, num_frames: int) -> Iterator[int]:
    """Yield indices of frames played forward, then backward, and so on."""
    return islice(cycle([*range(num_rendered), *range(num_rendered - 2, 0, -1)]), num_frames)
