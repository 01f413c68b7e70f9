"""What every file of the shared codec set must give, and why where that is no matter of course.

The times are also FFmpeg's own, and so are the frames (`test_real_files.py`).
"""

from dataclasses import dataclass

from pvtt_flow.errors import FailureKind


@dataclass(frozen=True)
class Expected:
    name: str
    size_px: tuple[int, int]
    """Display width and height."""
    num_frames: int
    last_ns: int
    rotation_deg: int = 0
    """Clockwise turn to upright."""
    mirrored: bool = False
    """Flipped before that turn."""
    first_ns: int = 0
    breaks: bool = False
    """After these frames; what FFmpeg shows there is damaged."""


FILES = [
    Expected("decord_flipping_a_pancake.mkv", (426, 240), 310, 10_300_000_000),
    Expected("decord_video_0.mov", (568, 320), 3, 66_666_667),
    Expected("decord_video_90.mov", (320, 568), 3, 66_666_667, 90),
    Expected("decord_video_180.mov", (568, 320), 3, 66_666_667, 180),
    Expected("decord_video_270.mov", (320, 568), 3, 66_666_667, 270),
    # Three more decode: B-frames, and the frame after them, which they build upon, is never shown.
    Expected("decord_corrupted.mp4", (1280, 720), 25, 2_400_000_000, breaks=True),
    Expected("decord_unordered.mov", (50, 50), 4, 93_750_000),
    Expected("imageio_cockatoo.mp4", (1280, 720), 280, 13_950_000_000),
    Expected("imageio_realshort.mp4", (320, 240), 36, 1_165_888_889),
    Expected("tc_av1_video.mkv", (640, 360), 125, 4_960_000_000),
    Expected("tc_bt709_full_range.mp4", (1280, 720), 30, 966_666_667),
    Expected("tc_h264_10bits.mp4", (200, 200), 30, 966_666_667),
    Expected("tc_h265_10bits.mp4", (200, 200), 30, 966_666_667),
    Expected("tc_h265_video.mp4", (128, 128), 10, 900_000_000),
    # The second track is larger and longer than the first.
    Expected("tc_nasa_13013.mp4", (480, 270), 390, 12_979_633_333),
    Expected("am_h265_bframes.mp4", (854, 480), 30, 966_666_667),
    Expected("am_hdr10-video-with-sdr-container.mp4", (1920, 1080), 28, 984_100_000),
    Expected("am_sample_rotate_and_reflect.mp4", (720, 1080), 30, 967_633_333, 270, mirrored=True),
    Expected("am_sample_12_5fps_720p_1s.mp4", (1280, 720), 13, 960_000_000),
    # All of them are at 0.
    Expected("am_sample_with_fake_auxiliary_tracks.mp4", (10, 12), 5, 0),
    # FFmpeg finds no keyframe before the edit and shows all that decodes, also what is before 0.
    Expected(
        "am_sample_edit_list_no_sync_frame_before_edit.mp4",
        (1080, 1920),
        68,
        1_968_333_333,
        90,
        first_ns=-333_333_333,
    ),
    Expected("am_sample_missing_stsd.mp4", (1080, 720), 30, 967_633_333),
    # No edit list makes up for the delay of its B-frames.
    Expected("am_sample_fragmented.mp4", (1080, 720), 30, 1_034_366_667, first_ns=66_733_333),
    Expected("am_sample_video_only.mp4", (1080, 720), 30, 967_633_333),
    Expected("am_sample_without_stss.mp4", (1080, 720), 30, 967_633_333),
    Expected("am_bt601.mov", (640, 428), 30, 967_633_333),
    # The motion photo's larger track has two pictures only.
    Expected("am_mv_with_2_top_shots.mp4", (1080, 1440), 53, 1_773_911_111, 270),
    Expected("am_iibbibb_editlist_videoonly.mp4", (704, 576), 12, 11_000_000_000),
    Expected(
        "am_sample_with_increasing_timestamps_320w_240h_5s.mp4", (320, 240), 300, 4_983_333_333
    ),
    Expected("am_water_180_mvhevc_5frames.mov", (1934, 2160), 5, 44_444_444),
    Expected("am_bbb_642x642_768kbps_30fps_vp9.webm", (642, 642), 90, 2_966_666_666),
    Expected("am_bbb_960x540_60fps_vp8.webm", (960, 540), 60, 983_000_000),
    Expected("am_roadtrip-vp92-10bit.webm", (426, 240), 72, 2_961_000_000),
    Expected("am_bbb_176x144_128kbps_15fps_h263.3gp", (176, 144), 15, 933_333_333),
    # As the muxer delayed it.
    Expected("am_sample_h265.ts", (854, 480), 30, 2_433_333_333, first_ns=1_466_666_667),
    Expected("am_video.mp4", (640, 360), 30, 966_666_667),
    Expected("truncated_04_coffee.mp4", (1280, 720), 114, 3_770_433_333, breaks=True),
    Expected("truncated_box.mp4", (960, 544), 50, 1_633_333_333, breaks=True),
]
NO_VIDEOS: dict[str, FailureKind] = {"zero_length.mp4": "empty_file"}
