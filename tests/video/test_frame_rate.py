"""Frame rates of headers that contradict the frames, and of streams without a rate or times."""

from pathlib import Path

import pytest

from tests.video.clip_maker import encode_images, moving_image
from tests.video.ffmpeg_files import FPS, H264, HEVC, MPEG2, VP8, ffmpeg, write_pattern
from tests.video.test_scan import probe_and_scan

RATES = ["600", "1000", "90000", "60"]
SLOW_RATES = ["12", "5"]
# The times of AVI are multiples of its header's frame, so a slow header makes the video slow.
CASES = [
    *[(f"clip.{end}", rate) for end in ("avi", "mkv", "webm", "flv") for rate in RATES],
    *[(f"clip.{end}", rate) for end in ("mkv", "webm") for rate in SLOW_RATES],
]


@pytest.mark.parametrize(("name", "rate"), CASES)
def test_a_header_that_contradicts_the_frames(tmp_path: Path, name: str, rate: str) -> None:
    codec = VP8 if name == "clip.webm" else H264
    plain = write_pattern(tmp_path / f"plain_{name}", *codec, num_frames=36)
    ffmpeg("-i", plain, "-c", "copy", "-r", rate, tmp_path / name)
    video, scan = probe_and_scan(tmp_path / name)
    fps = video.fps_num / video.fps_den
    assert fps == pytest.approx(FPS, rel=0.01)
    assert len(scan.times_ns) == 36
    assert video.duration_ns is not None
    # As a plan estimates it.
    num_frames = video.num_frames_from_header or video.duration_ns * fps / 10**9
    assert num_frames == pytest.approx(36, abs=2)
    assert (scan.end_ns - scan.times_ns[0]) / 10**9 == pytest.approx(36 / FPS, rel=0.02)


@pytest.mark.parametrize("name", ["clip.ts", "clip.mkv", "clip.mp4", "clip.flv", "clip.avi"])
def test_a_clock_in_place_of_the_codecs_rate(tmp_path: Path, name: str) -> None:
    lie = ("-bsf:v", "h264_metadata=tick_rate=180000")
    video, scan = probe_and_scan(write_pattern(tmp_path / name, *H264, *lie))
    assert (video.fps_num, video.fps_den) == (FPS, 1)
    assert scan.end_ns - scan.times_ns[0] == pytest.approx(10**9, rel=0.05)


@pytest.mark.parametrize(("name", "codec"), [("a.h264", H264), ("a.hevc", HEVC)])
def test_an_elementary_stream_has_the_rate_of_its_codec(
    tmp_path: Path, name: str, codec: tuple[str, ...]
) -> None:
    video, scan = probe_and_scan(write_pattern(tmp_path / name, *codec))
    assert (video.fps_num, video.fps_den) == (FPS, 1)
    assert [round(time_ns * FPS / 10**9) for time_ns in scan.times_ns] == list(range(24))


def test_a_clock_as_the_rate_of_an_elementary_stream_counts_as_none(tmp_path: Path) -> None:
    lie = ("-bsf:v", "h264_metadata=tick_rate=180000")
    video, _ = probe_and_scan(write_pattern(tmp_path / "a.h264", *H264, *lie))
    assert (video.fps_num, video.fps_den) == (25, 1)


@pytest.mark.parametrize(
    ("name", "codec", "rate"),
    [("two.ts", H264, FPS), ("two.m2ts", MPEG2, FPS), ("two.apng", (), 25)],
)
def test_two_frames_have_no_clock_or_fields_as_rate(
    tmp_path: Path, name: str, codec: tuple[str, ...], rate: int
) -> None:
    video, _ = probe_and_scan(write_pattern(tmp_path / name, *codec, num_frames=2))
    assert (video.fps_num, video.fps_den) == (rate, 1)


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv"])
def test_a_variable_rate_keeps_the_rate_of_its_header(tmp_path: Path, name: str) -> None:
    images = [moving_image(i) for i in range(12)]
    pts_ms = [0, 40, 70, 120, 160, 210, 240, 270, 320, 360, 400, 450]
    video, _ = probe_and_scan(encode_images(tmp_path / name, images, pts_ms=pts_ms))
    assert video.fps_num / video.fps_den == pytest.approx(25, rel=0.1)


def test_a_pause_at_the_start_is_no_rate(tmp_path: Path) -> None:
    images = [moving_image(i) for i in range(12)]
    pts_ms = [0, *range(5000, 5440, 40)]
    path = encode_images(tmp_path / "pause.mkv", images, pts_ms=pts_ms)
    video, _ = probe_and_scan(path)
    assert (video.fps_num, video.fps_den) == (25, 1)
