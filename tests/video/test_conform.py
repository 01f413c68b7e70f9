"""Cropping of the container, and pictures that change in the middle: FFmpeg's frames, exactly."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from pvtt_flow.core.timeline import FrameTime
from pvtt_flow.errors import DataError
from pvtt_flow.video.limits import Limits
from pvtt_flow.video.read import read_frames_at_times
from tests.video.clip_maker import read
from tests.video.ffmpeg_files import H264, HEVC, VP8, ffmpeg, join, write_pattern
from tests.video.frame_hash import decoded_hashes, ffmpeg_hashes
from tests.video.matroska_maker import declare_cropping
from tests.video.test_scan import probe_and_scan

LEFT, RIGHT, TOP, BOTTOM = 8, 24, 2, 14
VP9 = ("-c:v", "libvpx-vp9", "-g", "12", "-deadline", "realtime", "-cpu-used", "8")
AV1 = ("-c:v", "libsvtav1", "-preset", "12", "-g", "12")


def assert_frames_are_ffmpegs(path: Path, num_frames: int) -> None:
    stream_index, frames, truncated_at = decoded_hashes(path)
    ffmpegs = ffmpeg_hashes(path, stream_index)
    assert truncated_at is None
    assert len(frames) == num_frames
    assert [frame.md5 for frame in frames] == [frame.md5 for frame in ffmpegs]


def assert_seeks_are_exact(path: Path) -> None:
    frames = read(path)
    for frame in frames[1::7]:
        wanted = [FrameTime(frame.frame_index, frame.pts_ns)]
        with path.open("rb") as file:
            (found,) = read_frames_at_times(file, wanted)
        assert (found.rgb == frame.rgb).all()


@pytest.mark.parametrize(
    ("codec", "end"),
    [(H264, "mov"), *((codec, end) for codec in (H264, HEVC, VP9, AV1) for end in ("mkv", "mp4"))],
    ids=lambda value: value if isinstance(value, str) else value[1],
)
def test_the_container_crops(
    tmp_path: Path, always_seek: None, codec: Sequence[str], end: str
) -> None:
    path = write_pattern(tmp_path / "whole.mkv", *codec)
    declare_cropping(path, (LEFT, RIGHT, TOP, BOTTOM))
    if end != "mkv":
        ffmpeg("-i", path, "-c", "copy", tmp_path / f"clip.{end}")
        path = tmp_path / f"clip.{end}"
    video, scan = probe_and_scan(path)
    assert (video.width_px, video.height_px) == (64, 48)
    assert (video.coded_width_px, video.coded_height_px) == (64, 48)
    assert len(scan.times_ns) == 24
    assert read(path, video=video)[0].rgb.shape == (48, 64, 3)
    assert_frames_are_ffmpegs(path, 24)
    assert_seeks_are_exact(path)


@pytest.mark.parametrize(
    ("cropping", "size_px"),
    [
        ((1, 0, 0, 0), (94, 64)),
        ((3, 3, 5, 0), (90, 58)),
        ((0, 95, 0, 0), (96, 64)),
        ((0, 0, 0, 0), (96, 64)),
    ],
    ids=["odd", "odd in both", "less than a chroma pixel left", "none"],
)
def test_odd_croppings(
    tmp_path: Path, cropping: tuple[int, int, int, int], size_px: tuple[int, int]
) -> None:
    path = declare_cropping(write_pattern(tmp_path / "clip.mkv", *H264), cropping)
    video, scan = probe_and_scan(path)
    assert (video.width_px, video.height_px) == size_px
    assert len(scan.times_ns) == 24
    if size_px != (96, 64):
        assert_frames_are_ffmpegs(path, 24)


@pytest.mark.parametrize("cropping", [(48, 48, 0, 0), (2**32 - 1, 2**31, 7, 2**31 - 1)])
def test_a_cropping_of_the_whole_picture_is_refused_as_in_ffmpeg(
    tmp_path: Path, cropping: tuple[int, int, int, int]
) -> None:
    path = declare_cropping(write_pattern(tmp_path / "clip.mkv", *H264), cropping)
    with pytest.raises(DataError, match="FFmpeg cannot open it"):
        probe_and_scan(path)


def test_a_tag_is_no_cropping(tmp_path: Path) -> None:
    text = "Frame Cropping: 2/2/2/2"
    tags = (f"title={text}", f"comment=x\n      {text}\r      {text}", "Frame Cropping=2/2/2/2")
    options = [option for tag in tags for option in ("-metadata:s:v", tag)]
    path = write_pattern(tmp_path / "clip.mkv", *H264, *options)
    assert probe_and_scan(path)[0].width_px == 96


def write_changing(
    path: Path, *codec: str, size_px: tuple[int, int] = (96, 64), second: Sequence[str] = ()
) -> Path:
    """Write three recordings of 12 frames into one stream; the second one is of another kind."""
    end = ".webm" if path.suffix == ".webm" else ".ts"
    options = (*codec, "-live", "1") if end == ".webm" else codec
    changed = write_pattern(
        path.with_name(f"b{end}"), *options, *second, num_frames=12, first=48, size_px=size_px
    )
    first = write_pattern(path.with_name(f"a{end}"), *options, num_frames=12)
    joined = join(path.with_name(f"joined{end}"), [first, changed, first])
    if end == path.suffix:
        return joined
    ffmpeg("-i", joined, "-c", "copy", path)
    return path


CHANGES: dict[str, tuple[str, tuple[str, ...], tuple[int, int], tuple[str, ...]]] = {
    "H.264, smaller": ("clip.ts", H264, (48, 32), ()),
    "H.264, Matroska": ("clip.mkv", H264, (128, 96), ()),
    "H.264, MP4": ("clip.mp4", H264, (128, 96), ()),
    "H.264, 4:4:4": ("clip.ts", H264, (96, 64), ("-pix_fmt", "yuv444p")),
    "H.264, 10 bits": ("clip.mkv", H264, (80, 48), ("-pix_fmt", "yuv422p10le")),
    "HEVC": ("clip.ts", HEVC, (128, 96), ()),
    "HEVC, Matroska": ("clip.mkv", HEVC, (64, 64), ()),
    "HEVC, 10 bits": ("clip.ts", HEVC, (96, 64), ("-pix_fmt", "yuv420p10le")),
    "VP8": ("clip.webm", VP8, (48, 32), ()),
    "VP9": ("clip.webm", VP9, (128, 96), ()),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_picture_that_changes_goes_on_at_the_first_size(
    tmp_path: Path, always_seek: None, name: str
) -> None:
    file_name, codec, size_px, second = CHANGES[name]
    path = write_changing(tmp_path / file_name, *codec, size_px=size_px, second=second)
    video, scan = probe_and_scan(path)
    assert (video.width_px, video.height_px) == (96, 64)
    assert (scan.truncation, len(scan.times_ns)) == (None, 36)
    assert_frames_are_ffmpegs(path, 36)
    frames = read(path, video=video)
    assert {frame.rgb.shape for frame in frames} == {(64, 96, 3)}
    for before, after in zip(frames[:12], frames[24:], strict=True):
        assert (before.rgb == after.rgb).all()
    assert_seeks_are_exact(path)


@pytest.mark.parametrize("name", ["clip.mjpeg", "clip.mkv", "clip.avi"])
def test_motion_jpeg_that_changes(tmp_path: Path, name: str) -> None:
    first = write_pattern(tmp_path / "a.mjpeg", num_frames=4)
    changed = write_pattern(tmp_path / "b.mjpeg", num_frames=4, first=48, size_px=(128, 96))
    path = join(tmp_path / "joined.mjpeg", [first, changed, first])
    if name != "clip.mjpeg":
        ffmpeg("-i", path, "-c", "copy", tmp_path / name)
        path = tmp_path / name
    assert probe_and_scan(path)[1].truncation is None
    assert_frames_are_ffmpegs(path, 12)


def test_frames_that_the_decoder_loses_at_a_change(tmp_path: Path) -> None:
    path = write_changing(tmp_path / "clip.ts", "-c:v", "mpeg2video", size_px=(128, 96))
    assert_frames_are_ffmpegs(path, 34)


def test_a_picture_that_grows_beyond_the_limit(tmp_path: Path) -> None:
    path = write_changing(tmp_path / "clip.ts", *H264, size_px=(640, 480))
    with pytest.raises(DataError, match=r"at most 10000 pixels \(max_pixels\), got 640x480"):
        read(path, limits=Limits(max_pixels=10_000))


def test_a_cropped_picture_that_changes(tmp_path: Path) -> None:
    path = write_changing(tmp_path / "clip.mkv", *H264, size_px=(128, 96))
    declare_cropping(path, (LEFT, RIGHT, TOP, BOTTOM))
    assert probe_and_scan(path)[0].width_px == 64
    assert_frames_are_ffmpegs(path, 36)
