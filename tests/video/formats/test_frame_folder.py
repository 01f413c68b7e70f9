"""Folders of images, read by all functions that read videos."""

import os
import subprocess
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps

from pvtt_flow.core.timeline import FrameTime
from pvtt_flow.errors import DataError
from pvtt_flow.readers.source_frames import frames_of
from pvtt_flow.storage.listing import stat_all
from pvtt_flow.storage.streams import open_binary
from pvtt_flow.types import Frame, Video
from pvtt_flow.video.limits import Limits
from pvtt_flow.video.probe import probe
from pvtt_flow.video.read import read_frames, read_frames_at_times
from pvtt_flow.video.scan import VideoScan, scan_video
from pvtt_flow.video.worker.decoder import InProcessDecoder, IsolatedDecoder
from pvtt_flow.video.worker.pool import ProcessPool
from tests.video.clip_maker import HEIGHT_PX, WIDTH_PX, number_of, numbered_image
from tests.video.frame_folder_maker import write_frame_folder

NUMBERS = [2, 3, 5, 9, 10, 11, 99, 100]


def uri_of(folder: Path, fps: float = 25) -> str:
    return f"{folder}/#fps={fps:g}"


def probe_and_scan(uri: str, limits: Limits | None = None) -> tuple[Video, VideoScan]:
    limits = limits or Limits()
    with open_binary(uri) as file:
        size_bytes = stat_all([uri])[0].size_bytes
        video = probe(file, size_bytes=size_bytes, limits=limits)
        return video, scan_video(file, video=video, limits=limits)


def frames_in(uri: str) -> list[Frame]:
    with open_binary(uri) as file:
        return list(read_frames(file))


def exif_with(orientation: int) -> Image.Exif:
    """Return EXIF data with an orientation from 1 to 8, as cameras write it."""
    exif = Image.Exif()
    exif[0x112], exif[0x10F] = orientation, "a camera"
    return exif


@pytest.mark.parametrize("name", ["{:05d}.jpg", "{}.JPEG", "frame_{:06d}.png"])
def test_frames_follow_the_numbers(tmp_path: Path, name: str) -> None:
    uri = uri_of(write_frame_folder(tmp_path / "mug", NUMBERS, name), 12.5)
    video, scan = probe_and_scan(uri)
    assert (video.width_px, video.height_px) == (WIDTH_PX, HEIGHT_PX)
    assert Fraction(video.fps_num, video.fps_den) == Fraction(25, 2)
    assert (video.num_frames_from_header, video.duration_ns) == (8, 640_000_000)
    assert scan.times_ns == tuple(range(0, 640_000_000, 80_000_000))
    assert scan.end_ns == 640_000_000
    assert scan.truncation is None
    assert [number_of(frame.rgb) for frame in frames_in(uri)] == NUMBERS


def test_png_frames_equal_those_of_the_ffmpeg_command(tmp_path: Path) -> None:
    folder = write_frame_folder(tmp_path / "mug", name="{:03d}.png")
    command = (imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", folder / "%03d.png",
               "-f", "rawvideo", "-pix_fmt", "rgb24", "-")  # fmt: skip
    raw = subprocess.run(command, check=True, capture_output=True).stdout
    expected = np.frombuffer(raw, np.uint8).reshape(6, HEIGHT_PX, WIDTH_PX, 3)
    assert np.array_equal([frame.rgb for frame in frames_in(uri_of(folder))], expected)
    assert np.array_equal(expected[4], numbered_image(4))


def test_frames_at_times(tmp_path: Path, always_seek: None) -> None:
    uri = uri_of(write_frame_folder(tmp_path / "mug", NUMBERS), 30_000 / 1001)
    _, scan = probe_and_scan(uri)
    wanted = [FrameTime(i, scan.times_ns[i]) for i in (1, 4, 7)]
    with open_binary(uri) as file:
        assert [number_of(f.rgb) for f in read_frames_at_times(file, wanted)] == [3, 10, 100]


def test_a_worker_gives_the_same_frames(tmp_path: Path) -> None:
    uri = uri_of(write_frame_folder(tmp_path / "mug", NUMBERS))
    pool = ProcessPool(1)
    try:
        frames = [
            decoder.iterate(read_frames, uri)
            for decoder in (InProcessDecoder(), IsolatedDecoder(pool))
        ]
        for here, there in zip(*frames, strict=True):
            assert np.array_equal(here.rgb, there.rgb)
            assert here.pts_ns == there.pts_ns
    finally:
        pool.close()


def test_readers_notice_changed_files(tmp_path: Path) -> None:
    uri = uri_of(write_frame_folder(tmp_path / "mug", NUMBERS))
    (info,) = stat_all([uri])
    source = {"uri": uri, "etag": info.etag, "size_bytes": info.size_bytes}
    wanted = [FrameTime(i, 40_000_000 * i) for i in (6, 7)]
    assert [number_of(f.rgb) for f in frames_of(source, wanted, None)] == [99, 100]
    os.utime(tmp_path / "mug" / "00005.jpg", ns=(1, 1))
    with pytest.raises(DataError, match="must be the video that was processed") as caught:
        list(frames_of(source, wanted, None))
    assert caught.value.kind == "source_changed"


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-900])


@pytest.mark.parametrize("name", ["{}.jpg", "{}.png"])
@pytest.mark.parametrize(
    "damage",
    [
        truncate,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_text("not a picture\n" * 50),
        lambda path: Image.open(path).resize((48, 32)).save(path),
        lambda path: Image.open(path).save(path, exif=exif_with(6)),
    ],
    ids=["truncated", "empty", "text", "other size", "turned"],
)
def test_a_bad_image_ends_the_video(
    tmp_path: Path, name: str, damage: Callable[[Path], object]
) -> None:
    folder = write_frame_folder(tmp_path / "mug", name=name)
    damage(folder / name.format(4))
    _, scan = probe_and_scan(uri_of(folder))
    assert len(scan.times_ns) == 4
    assert scan.truncation is not None
    assert scan.truncation.frame_index == 4


def test_a_folder_of_empty_files(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"{number}.jpg").touch()
    with pytest.raises(DataError, match="got 0 bytes") as caught:
        probe_and_scan(uri_of(tmp_path))
    assert caught.value.kind == "empty_file"


def test_a_wrong_checksum_ends_the_video(tmp_path: Path) -> None:
    """Only the checksum shows that a color of the palette has changed."""
    for number in range(3):
        Image.fromarray(numbered_image(number)).convert("P").save(tmp_path / f"{number}.png")
    content = bytearray((tmp_path / "2.png").read_bytes())
    content[content.index(b"PLTE") + 10] ^= 0x40
    (tmp_path / "2.png").write_bytes(content)
    _, scan = probe_and_scan(uri_of(tmp_path))
    assert len(scan.times_ns) == 2


def test_limits_apply(tmp_path: Path) -> None:
    folder = write_frame_folder(tmp_path / "mug")
    for limits, message in (
        (Limits(max_frames=5), "max_frames"),
        (Limits(max_bytes=5000), "max_bytes"),
        (Limits(max_pixels=96 * 63), "max_pixels"),
        (Limits(max_duration_s=0.2), "max_duration_s"),
    ):
        with pytest.raises(DataError, match=message) as caught:
            probe_and_scan(uri_of(folder), limits)
        assert caught.value.kind == "over_limit"


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("ending", ["jpg", "png"])
def test_photos_are_upright(tmp_path: Path, orientation: int, ending: str) -> None:
    options = {"exif": exif_with(orientation), "subsampling": 0}
    folder = write_frame_folder(tmp_path / "mug", [5], f"{{}}.{ending}", **options)
    with Image.open(folder / f"5.{ending}") as image:
        expected = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    (frame,) = frames_in(uri_of(folder))
    assert frame.rgb.shape == expected.shape
    assert np.abs(frame.rgb.astype(int) - expected).max() <= (3 if ending == "jpg" else 0)


def with_alpha_ramp(mode: str) -> Image.Image:
    """Return an image whose alpha grows from left to right."""
    image = Image.fromarray(numbered_image(5)).convert(mode)
    ramp = np.linspace(0, 255, WIDTH_PX).astype(np.uint8)
    image.putalpha(Image.fromarray(np.tile(ramp, (HEIGHT_PX, 1))))
    return image


def to_16_bits(image: Image.Image) -> Image.Image:
    return Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)


IMAGES: dict[str, tuple[Callable[[], Image.Image], str, int]] = {
    "gray JPEG": (lambda: Image.fromarray(numbered_image(5)).convert("L"), "jpg", 1),
    # CMYK to RGB conversions round differently.
    "CMYK JPEG": (lambda: Image.fromarray(numbered_image(5)).convert("CMYK"), "jpg", 3),
    "gray PNG": (lambda: Image.fromarray(numbered_image(5)).convert("L"), "png", 0),
    "PNG of 16 bits": (lambda: to_16_bits(Image.fromarray(numbered_image(5))), "png", 1),
    "PNG with a palette": (lambda: Image.fromarray(numbered_image(5)).convert("P"), "png", 0),
    "PNG of one bit": (lambda: Image.fromarray(numbered_image(5)).convert("1"), "png", 0),
    "transparent PNG": (lambda: with_alpha_ramp("RGB"), "png", 0),
    "transparent gray PNG": (lambda: with_alpha_ramp("L"), "png", 0),
}


def over_white(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as image:
        if image.mode.startswith("I"):
            return np.repeat((np.asarray(image) // 257).astype(np.uint8)[..., None], 3, 2)
        if "A" not in image.mode:
            return np.asarray(image.convert("RGB"))
        white = Image.new("RGBA", image.size, "white")
        white.alpha_composite(image.convert("RGBA"))
        return np.asarray(white.convert("RGB"))


@pytest.mark.parametrize("name", IMAGES)
def test_pixel_formats(tmp_path: Path, name: str) -> None:
    make, ending, tolerance = IMAGES[name]
    path = tmp_path / f"0.{ending}"
    options: dict[str, Any] = {"quality": 97} if ending == "jpg" else {}
    make().save(path, **options)
    (frame,) = frames_in(uri_of(tmp_path))
    assert np.abs(frame.rgb.astype(int) - over_white(path)).max() <= tolerance
