from pathlib import Path

import pytest

from pvtt_flow.errors import DataError
from pvtt_flow.types import Video
from pvtt_flow.video.limits import DEFAULT_LIMITS, Limits
from pvtt_flow.video.probe import probe
from pvtt_flow.video.scan import VideoScan, scan_video
from tests.video.clip_maker import encode_images, moving_image, read, write_clip


def probe_and_scan(
    path: Path, *, detect_cuts: bool = True, limits: Limits = DEFAULT_LIMITS
) -> tuple[Video, VideoScan]:
    with path.open("rb") as file:
        video = probe(file, size_bytes=path.stat().st_size)
        return video, scan_video(file, video=video, detect_cuts=detect_cuts, limits=limits)


@pytest.mark.parametrize("rotation_deg", [0, 90])
def test_times_equal_those_of_read_frames(tmp_path: Path, rotation_deg: int) -> None:
    # A frame at 40 ms, then gaps of their own.
    pts_ms = [0, 40, 50, 130, 1000, *range(1040, 2000, 40)]
    images = [moving_image(i) for i in range(len(pts_ms))]
    path = encode_images(tmp_path / "v.mp4", images, pts_ms=pts_ms, rotation_deg=rotation_deg)
    video, scan = probe_and_scan(path)
    assert scan.times_ns == tuple(frame.pts_ns for frame in read(path))
    assert scan.end_ns == scan.times_ns[-1] + int(10**9 * video.fps_den / video.fps_num)
    assert 13 in scan.cuts
    assert scan.truncation is None


def test_without_looking_for_cuts(tmp_path: Path) -> None:
    path = encode_images(tmp_path / "v.mp4", [moving_image(i) for i in range(26)])
    assert probe_and_scan(path)[1].cuts == (13,)
    assert probe_and_scan(path, detect_cuts=False)[1].cuts == ()


def test_a_truncated_video_reports_its_good_frames(clip: Path, tmp_path: Path) -> None:
    whole = clip.read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole[: len(whole) // 2])
    _, scan = probe_and_scan(cut)
    assert scan.truncation is not None
    assert scan.truncation.frame_index == len(scan.times_ns)
    assert 0 < len(scan.times_ns) < 48


def test_limits_apply_to_the_decoded_frames(clip: Path) -> None:
    with pytest.raises(DataError, match="at most 47 frames"):
        probe_and_scan(clip, limits=Limits(max_frames=47))


def test_tiny_and_narrow_pictures(tmp_path: Path) -> None:
    for size_px in ((16, 16), (256, 16), (16, 256)):
        path = write_clip(tmp_path / "v.mkv", 3, size_px=size_px)
        assert len(probe_and_scan(path)[1].times_ns) == 3


def test_real_shots_are_not_cut(shared_data: Path) -> None:
    for name in ("04_coffee.mp4", "ta_test-sample2.mp4", "codec/decord_flipping_a_pancake.mkv"):
        assert probe_and_scan(shared_data / "videos" / name)[1].cuts == (), name


def test_real_cuts_are_found(shared_data: Path) -> None:
    assert probe_and_scan(shared_data / "videos/codec/am_roadtrip-vp92-10bit.webm")[1].cuts == (
        42,
        69,
    )
    # A dark scene dissolves into a bright one, which ends with a hard cut.
    assert probe_and_scan(shared_data / "videos/codec/tc_nasa_13013.mp4")[1].cuts == (180, 240)
