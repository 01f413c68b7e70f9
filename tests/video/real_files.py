"""Expected facts of each file in the shared codec set, with a reason where they surprise.

Times and frames equal FFmpeg's (`test_real_files.py`).
"""

from dataclasses import dataclass

from pvtt_flow.errors import FailureKind


@dataclass(frozen=True)
class ExpectedVideo:
    """Facts that probing and reading a file must give."""

    name: str
    size_px: tuple[int, int]
    """Display width and height."""
    num_frames: int
    last_ns: int
    rotation_deg: int = 0
    """Clockwise turn to upright."""
    mirrored: bool = False
    """True if the frame is flipped left to right before that turn."""
    first_ns: int = 0
    is_truncated: bool = False
    """True if the video ends after these frames, since FFmpeg's next one is corrupt."""


FILES = [
    ExpectedVideo("decord_flipping_a_pancake.mkv", (426, 240), 310, 10_300_000_000),
    ExpectedVideo("decord_video_0.mov", (568, 320), 3, 66_666_667),
    ExpectedVideo("decord_video_90.mov", (320, 568), 3, 66_666_667, 90),
    ExpectedVideo("decord_video_180.mov", (568, 320), 3, 66_666_667, 180),
    ExpectedVideo("decord_video_270.mov", (320, 568), 3, 66_666_667, 270),
    # Three more B-frames decode, but they are predicted from a frame that does not.
    ExpectedVideo("decord_corrupted.mp4", (1280, 720), 25, 2_400_000_000, is_truncated=True),
    ExpectedVideo("decord_unordered.mov", (50, 50), 4, 93_750_000),
    ExpectedVideo("imageio_cockatoo.mp4", (1280, 720), 280, 13_950_000_000),
    ExpectedVideo("imageio_realshort.mp4", (320, 240), 36, 1_165_888_889),
    ExpectedVideo("tc_av1_video.mkv", (640, 360), 125, 4_960_000_000),
    ExpectedVideo("tc_bt709_full_range.mp4", (1280, 720), 30, 966_666_667),
    ExpectedVideo("tc_h264_10bits.mp4", (200, 200), 30, 966_666_667),
    ExpectedVideo("tc_h265_10bits.mp4", (200, 200), 30, 966_666_667),
    ExpectedVideo("tc_h265_video.mp4", (128, 128), 10, 900_000_000),
    # The second track is larger and longer than the first.
    ExpectedVideo("tc_nasa_13013.mp4", (480, 270), 390, 12_979_633_333),
    ExpectedVideo("am_h265_bframes.mp4", (854, 480), 30, 966_666_667),
    ExpectedVideo("am_hdr10-video-with-sdr-container.mp4", (1920, 1080), 28, 984_100_000),
    ExpectedVideo(
        "am_sample_rotate_and_reflect.mp4", (720, 1080), 30, 967_633_333, 270, mirrored=True
    ),
    ExpectedVideo("am_sample_12_5fps_720p_1s.mp4", (1280, 720), 13, 960_000_000),
    # All frames are at 0.
    ExpectedVideo("am_sample_with_fake_auxiliary_tracks.mp4", (10, 12), 5, 0),
    # FFmpeg finds no keyframe before the edit, so it shows all frames, also those before 0.
    ExpectedVideo(
        "am_sample_edit_list_no_sync_frame_before_edit.mp4",
        (1080, 1920),
        68,
        1_968_333_333,
        90,
        first_ns=-333_333_333,
    ),
    ExpectedVideo("am_sample_missing_stsd.mp4", (1080, 720), 30, 967_633_333),
    # No edit list compensates for the delay of its B-frames.
    ExpectedVideo("am_sample_fragmented.mp4", (1080, 720), 30, 1_034_366_667, first_ns=66_733_333),
    ExpectedVideo("am_sample_video_only.mp4", (1080, 720), 30, 967_633_333),
    ExpectedVideo("am_sample_without_stss.mp4", (1080, 720), 30, 967_633_333),
    ExpectedVideo("am_bt601.mov", (640, 428), 30, 967_633_333),
    # The larger track of this motion photo has only two frames.
    ExpectedVideo("am_mv_with_2_top_shots.mp4", (1080, 1440), 53, 1_773_911_111, 270),
    ExpectedVideo("am_iibbibb_editlist_videoonly.mp4", (704, 576), 12, 11_000_000_000),
    ExpectedVideo(
        "am_sample_with_increasing_timestamps_320w_240h_5s.mp4", (320, 240), 300, 4_983_333_333
    ),
    ExpectedVideo("am_water_180_mvhevc_5frames.mov", (1934, 2160), 5, 44_444_444),
    ExpectedVideo("am_bbb_642x642_768kbps_30fps_vp9.webm", (642, 642), 90, 2_966_666_666),
    ExpectedVideo("am_bbb_960x540_60fps_vp8.webm", (960, 540), 60, 983_000_000),
    ExpectedVideo("am_roadtrip-vp92-10bit.webm", (426, 240), 72, 2_961_000_000),
    ExpectedVideo("am_bbb_176x144_128kbps_15fps_h263.3gp", (176, 144), 15, 933_333_333),
    # The muxer added an initial delay.
    ExpectedVideo("am_sample_h265.ts", (854, 480), 30, 2_433_333_333, first_ns=1_466_666_667),
    ExpectedVideo("am_video.mp4", (640, 360), 30, 966_666_667),
    ExpectedVideo("truncated_04_coffee.mp4", (1280, 720), 114, 3_770_433_333, is_truncated=True),
    ExpectedVideo("truncated_box.mp4", (960, 544), 50, 1_633_333_333, is_truncated=True),
]
NO_VIDEOS: dict[str, FailureKind] = {"zero_length.mp4": "empty_file"}
