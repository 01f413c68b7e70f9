"""Every file of the shared codec set against what its makers and a full decode say of it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from pvtt_flow.errors import DataError
from pvtt_flow.media.decode import DecodeBreakError, read_frame, read_frames
from pvtt_flow.media.probe import probe

# Long videos are decoded this far, large pictures a little: the rest is no other code path.
_MAX_FRAMES = 36
_MAX_LARGE_FRAMES = 8
_LARGE_PX = 1_200_000


@dataclass(frozen=True)
class Expected:
    name: str
    size_px: tuple[int, int]
    """Display width and height."""
    num_frames: int
    rotation_deg: int = 0
    first_ns: int = 0
    breaks: bool = False


FILES = [
    Expected("decord_flipping_a_pancake.mkv", (426, 240), 310),
    Expected("decord_video_0.mov", (568, 320), 3),
    Expected("decord_video_90.mov", (320, 568), 3, 90),
    Expected("decord_video_180.mov", (568, 320), 3, 180),
    Expected("decord_video_270.mov", (320, 568), 3, 270),
    Expected("decord_corrupted.mp4", (1280, 720), 28, breaks=True),
    Expected("decord_unordered.mov", (50, 50), 4),
    Expected("imageio_cockatoo.mp4", (1280, 720), 280),
    Expected("imageio_realshort.mp4", (320, 240), 36),
    Expected("tc_av1_video.mkv", (640, 360), 125),
    Expected("tc_bt709_full_range.mp4", (1280, 720), 30),
    Expected("tc_h264_10bits.mp4", (200, 200), 30),
    Expected("tc_h265_10bits.mp4", (200, 200), 30),
    Expected("tc_h265_video.mp4", (128, 128), 10),
    # The second track is larger and longer than the first.
    Expected("tc_nasa_13013.mp4", (480, 270), 390),
    Expected("am_h265_bframes.mp4", (854, 480), 30),
    Expected("am_hdr10-video-with-sdr-container.mp4", (1920, 1080), 28),
    Expected("am_sample_rotate_and_reflect.mp4", (720, 1080), 30, 270),
    Expected("am_sample_12_5fps_720p_1s.mp4", (1280, 720), 13),
    Expected("am_sample_with_fake_auxiliary_tracks.mp4", (10, 12), 5),
    Expected("am_sample_edit_list_no_sync_frame_before_edit.mp4", (1080, 1920), 68, 90, -333333333),
    Expected("am_sample_missing_stsd.mp4", (1080, 720), 30),
    Expected("am_sample_fragmented.mp4", (1080, 720), 30, first_ns=66733333),
    Expected("am_sample_video_only.mp4", (1080, 720), 30),
    Expected("am_sample_without_stss.mp4", (1080, 720), 30),
    Expected("am_bt601.mov", (640, 428), 30),
    # The motion photo's larger track has two pictures only.
    Expected("am_mv_with_2_top_shots.mp4", (1080, 1440), 53, 270),
    Expected("am_iibbibb_editlist_videoonly.mp4", (704, 576), 12),
    Expected("am_sample_with_increasing_timestamps_320w_240h_5s.mp4", (320, 240), 300),
    Expected("am_water_180_mvhevc_5frames.mov", (1934, 2160), 5),
    Expected("am_bbb_642x642_768kbps_30fps_vp9.webm", (642, 642), 90),
    Expected("am_bbb_960x540_60fps_vp8.webm", (960, 540), 60),
    Expected("am_roadtrip-vp92-10bit.webm", (426, 240), 72),
    Expected("am_bbb_176x144_128kbps_15fps_h263.3gp", (176, 144), 15),
    Expected("am_sample_h265.ts", (854, 480), 30, first_ns=1466666667),
    Expected("am_video.mp4", (640, 360), 30),
    Expected("truncated_04_coffee.mp4", (1280, 720), 114, breaks=True),
    Expected("truncated_box.mp4", (960, 544), 50, breaks=True),
]


@pytest.mark.parametrize("expected", FILES, ids=lambda expected: expected.name)
def test_outcome(shared_data: Path, expected: Expected) -> None:
    path = shared_data / "videos" / "codec" / expected.name
    width_px, height_px = expected.size_px
    most = _MAX_LARGE_FRAMES if width_px * height_px > _LARGE_PX else _MAX_FRAMES
    # A break has to be reached; anything else is told by its beginning.
    stop = None if expected.breaks or expected.num_frames <= most else most
    frames, broke_at = [], None
    with path.open("rb") as file:
        video = probe(file, size_bytes=path.stat().st_size)
        try:
            for frame in read_frames(file, video=video, stop_frame=stop):
                assert frame.rgb.shape == (video.height_px, video.width_px, 3)
                frames.append((frame.frame_index, frame.pts_ns))
        except DecodeBreakError as error:
            broke_at = error.frame_index
    assert (video.width_px, video.height_px) == expected.size_px
    assert video.rotation_deg == expected.rotation_deg
    assert [index for index, _ in frames] == list(range(stop or expected.num_frames))
    assert frames[0][1] == expected.first_ns
    assert broke_at == (expected.num_frames if expected.breaks else None)


def test_nothing_is_left_out(shared_data: Path) -> None:
    names = {path.name for path in (shared_data / "videos" / "codec").iterdir()}
    assert names == {expected.name for expected in FILES} | {"zero_length.mp4"}


def test_zero_length(shared_data: Path) -> None:
    path = shared_data / "videos" / "codec" / "zero_length.mp4"
    with path.open("rb") as file, pytest.raises(DataError) as caught:
        probe(file, size_bytes=path.stat().st_size)
    assert caught.value.kind == "empty_file"


def test_rotated_files_are_the_right_way_up(shared_data: Path) -> None:
    # Looked at: a keyboard in each, upright, brighter at the top of the picture than at its foot.
    for angle in (0, 90, 180, 270):
        path = shared_data / "videos" / "codec" / f"decord_video_{angle}.mov"
        with path.open("rb") as file:
            rgb = read_frame(file, 0).rgb
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
