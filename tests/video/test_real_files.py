"""Compare each file of the shared codec set with the expected facts and with FFmpeg's frames."""

import math
from pathlib import Path

import numpy as np
import pytest

from pvtt_flow.errors import DataError
from pvtt_flow.video.probe import probe
from pvtt_flow.video.read import read_frames
from tests.video.frame_hash import decoded_hashes, ffmpeg_hashes
from tests.video.real_files import FILES, NO_VIDEOS, ExpectedVideo

_MAX_LARGE_FRAMES, _LARGE_PX = 12, 500_000


@pytest.mark.parametrize("expected", FILES, ids=lambda expected: expected.name)
def test_frames_and_display(shared_data: Path, expected: ExpectedVideo) -> None:
    path = shared_data / "videos" / "codec" / expected.name
    with path.open("rb") as file:
        video = probe(file, size_bytes=path.stat().st_size)
        first = next(read_frames(file, video=video))
    assert (video.width_px, video.height_px) == expected.size_px
    assert first.rgb.shape == (video.height_px, video.width_px, 3)
    assert (video.mirrored, video.rotation_deg) == (expected.mirrored, expected.rotation_deg)
    # Only a few frames of large videos are compared; the slow test compares all.
    max_frames = _MAX_LARGE_FRAMES if math.prod(expected.size_px) > _LARGE_PX else None
    stream_index, frames, truncated_at = decoded_hashes(path)
    assert len(frames) == expected.num_frames
    assert (frames[0].pts_ns, frames[-1].pts_ns) == (expected.first_ns, expected.last_ns)
    assert truncated_at == (expected.num_frames if expected.is_truncated else None)
    ffmpegs = ffmpeg_hashes(path, stream_index, max_frames)
    assert frames[:max_frames] == (ffmpegs[: len(frames)] if expected.is_truncated else ffmpegs)


@pytest.mark.slow
@pytest.mark.parametrize("expected", FILES, ids=lambda expected: expected.name)
def test_every_frame_equals_ffmpegs(shared_data: Path, expected: ExpectedVideo) -> None:
    stream_index, frames, _ = decoded_hashes(shared_data / "videos" / "codec" / expected.name)
    ffmpegs = ffmpeg_hashes(shared_data / "videos" / "codec" / expected.name, stream_index)
    assert frames == (ffmpegs[: len(frames)] if expected.is_truncated else ffmpegs)


@pytest.mark.parametrize("name", NO_VIDEOS)
def test_failure(shared_data: Path, name: str) -> None:
    path = shared_data / "videos" / "codec" / name
    with path.open("rb") as file, pytest.raises(DataError) as caught:
        probe(file, size_bytes=path.stat().st_size)
    assert caught.value.kind == NO_VIDEOS[name]


def test_every_file_is_listed(shared_data: Path) -> None:
    names = {path.name for path in (shared_data / "videos" / "codec").iterdir()}
    assert names == {expected.name for expected in FILES} | set(NO_VIDEOS)


def test_rotated_files_are_the_right_way_up(shared_data: Path) -> None:
    # Checked by eye: each shows a keyboard, brighter at the top of the frame than at the bottom.
    for angle in (0, 90, 180, 270):
        path = shared_data / "videos" / "codec" / f"decord_video_{angle}.mov"
        with path.open("rb") as file:
            rgb = next(read_frames(file)).rgb
        top, *_, foot = (float(band.mean()) for band in np.array_split(rgb, 4))
        assert top > foot + 8, angle


def test_variable_rate_of_a_real_clip(shared_data: Path) -> None:
    path = shared_data / "videos" / "ta_test-sample2.mp4"
    with path.open("rb") as file:
        times_ns = np.array([frame.pts_ns for frame in read_frames(file)])
    gaps_ms = np.diff(times_ns) / 1e6
    assert len(times_ns) == 149
    assert gaps_ms.min() == pytest.approx(33.3, abs=1)
    assert gaps_ms.max() == pytest.approx(66.7, abs=1)
