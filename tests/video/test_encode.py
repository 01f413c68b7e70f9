from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from pvtt_flow.video.encode import write_mp4
from pvtt_flow.video.probe import probe
from pvtt_flow.video.read import read_frames
from tests.video.clip_maker import number_of, numbered_image


def test_round_trip_with_odd_sizes_and_a_fractional_rate(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    fps = Fraction(30000, 1001)
    images = (numbered_image(i, width_px=97, height_px=65) for i in range(12))
    assert write_mp4(path, images, fps) == 12
    with path.open("rb") as file:
        video = probe(file, size_bytes=path.stat().st_size)
        frames = list(read_frames(file))
    assert [number_of(frame.rgb) for frame in frames] == list(range(12))
    assert (video.width_px, video.height_px) == (98, 66)
    assert (video.codec, video.pixel_format) == ("h264", "yuv420p")
    assert Fraction(video.fps_num, video.fps_den) == fps
    assert [p.name for p in tmp_path.iterdir()] == ["out.mp4"]
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


def test_colors_survive_the_round_trip(tmp_path: Path) -> None:
    colors = np.array([(220, 40, 40), (40, 220, 40), (40, 40, 220), (128, 128, 128)], np.uint8)
    rgb = np.repeat(np.repeat(colors[None], 32, axis=1), 64, axis=0)
    path = tmp_path / "colors.mp4"
    write_mp4(path, [rgb] * 3, Fraction(25))
    with path.open("rb") as file:
        decoded = next(read_frames(file)).rgb
    centers = decoded[32, 16::32].astype(int)
    assert np.abs(centers - colors.astype(int)).max() <= 6


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ([], "frames must hold at least one frame, got none"),
        ([(8, 8, 3), (8, 10, 3)], r"frame 1 must have shape \(8, 8, 3\), got \(8, 10, 3\)"),
    ],
)
def test_a_failure_leaves_no_file(
    tmp_path: Path, shapes: list[tuple[int, ...]], message: str
) -> None:
    frames = [np.zeros(shape, np.uint8) for shape in shapes]
    with pytest.raises(ValueError, match=message):
        write_mp4(tmp_path / "out.mp4", frames, Fraction(25))
    assert not list(tmp_path.iterdir())
