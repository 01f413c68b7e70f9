"""Animated images are videos; their frames and times equal Pillow's."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageSequence

from pvtt_flow.video.probe import probe
from pvtt_flow.video.scan import scan_video
from tests.video.clip_maker import moving_image, number_of, numbered_image, read

NUM_FRAMES = 8
DURATIONS_MS = [100, 40, 200, 60, 80, 300, 20, 500]


def animated(path: Path, **options: Any) -> Path:
    """Write an animation with unequal delays by Pillow, whose frames depend on earlier ones."""
    first, *others = (Image.fromarray(moving_image(i)) for i in range(NUM_FRAMES))
    first.save(path, save_all=True, append_images=others, duration=DURATIONS_MS, **options)
    return path


@pytest.mark.parametrize(
    ("name", "options", "tolerance"),
    [
        ("a.gif", {"loop": 0}, 0),
        ("a.apng", {"format": "PNG"}, 0),
        ("named_as_a_still.png", {}, 0),
        ("a.webp", {"lossless": True}, 0),
        ("named_otherwise.mp4", {"format": "WEBP", "quality": 90}, 0),
        # Lossy with subsampled chroma, which Pillow and FFmpeg upsample differently.
        ("a.avif", {"quality": 95}, None),
    ],
)
def test_frames_and_times(
    tmp_path: Path, name: str, options: dict[str, object], tolerance: int | None
) -> None:
    path = animated(tmp_path / name, **options)
    frames = read(path)
    assert [number_of(frame.rgb) for frame in frames] == list(range(NUM_FRAMES))
    starts_ms = [sum(DURATIONS_MS[:i]) for i in range(NUM_FRAMES)]
    assert [frame.pts_ns for frame in frames] == [ms * 1_000_000 for ms in starts_ms]
    if tolerance is not None:
        with Image.open(path) as image:
            shown = [np.asarray(p.convert("RGB")) for p in ImageSequence.Iterator(image)]
        for frame, expected in zip(frames, shown, strict=True):
            assert np.abs(frame.rgb.astype(int) - expected).max() <= tolerance


@pytest.mark.parametrize("name", ["s.jpg", "s.png", "s.webp", "s.gif", "s.avif"])
def test_a_still_is_a_video_of_one_frame(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    Image.fromarray(numbered_image(5)).save(path)
    with path.open("rb") as file:
        video = probe(file, size_bytes=path.stat().st_size)
        scan = scan_video(file, video=video)
    assert scan.times_ns == (0,)
    assert scan.end_ns > 0
    assert (video.width_px, video.height_px) == (96, 64)
