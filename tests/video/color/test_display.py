"""Frames are stretched, mirrored and rotated as their file declares."""

import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import av.sidedata.sidedata
import numpy as np
import pytest
from numpy.typing import NDArray

from pvtt_flow.video.color.display import Display
from pvtt_flow.video.limits import Limits
from pvtt_flow.video.probe import probe
from tests.video.clip_maker import encode_images, read

Rgb = NDArray[np.uint8]
Matrix = tuple[float, float, float, float]
FIXED_POINT_ONE = 1 << 16
# The first two numbers of the first two rows of a display matrix, and what it does to the rows and
# columns of an image.
ORIENTATIONS: dict[str, tuple[Matrix, Callable[[Rgb], Rgb]]] = {
    "as it is": ((1, 0, 0, 1), lambda rgb: rgb),
    "turned": ((0, 1, -1, 0), lambda rgb: np.rot90(rgb, -1)),
    "upside down": ((-1, 0, 0, -1), lambda rgb: np.rot90(rgb, 2)),
    "turned back": ((0, -1, 1, 0), np.rot90),
    "mirrored": ((-1, 0, 0, 1), lambda rgb: rgb[:, ::-1]),
    "mirrored upside down": ((1, 0, 0, -1), lambda rgb: rgb[::-1]),
    "transposed": ((0, 1, 1, 0), lambda rgb: np.swapaxes(rgb, 0, 1)),
    "transposed the other way": ((0, -1, -1, 0), lambda rgb: np.rot90(rgb, 2).swapaxes(0, 1)),
    "askew": ((0.1, 0.9, -0.9, 0.1), lambda rgb: np.rot90(rgb, -1)),
    "collapsed": ((0, 0, 0, 0), lambda rgb: rgb),
}


def four_corners() -> NDArray[np.uint8]:
    """Return uint8 (48, 64, 3): four colors, one in each corner."""
    rgb = np.zeros((48, 64, 3), np.uint8)
    rgb[:24, :32], rgb[:24, 32:] = (255, 0, 0), (0, 255, 0)
    rgb[24:, :32], rgb[24:, 32:] = (0, 0, 255), (255, 255, 255)
    return rgb


def set_display_matrix(path: Path, a: float, b: float, c: float, d: float) -> Path:
    """Set the display matrix of an MP4 file, in place."""
    content = bytearray(path.read_bytes())
    # Between the box's name and the matrix: version, times, reserved bytes, layer and volume.
    at = content.index(b"tkhd") + 44
    numbers = (
        a * FIXED_POINT_ONE,
        b * FIXED_POINT_ONE,
        0,
        c * FIXED_POINT_ONE,
        d * FIXED_POINT_ONE,
        0,
        0,
        0,
        1 << 30,
    )
    content[at : at + 36] = struct.pack(">9i", *(int(number) for number in numbers))
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("name", ORIENTATIONS)
def test_orientation(tmp_path: Path, name: str) -> None:
    matrix, shown = ORIENTATIONS[name]
    path = set_display_matrix(encode_images(tmp_path / "clip.mp4", [four_corners()] * 2), *matrix)
    frame, _ = read(path)
    expected = shown(four_corners())
    assert frame.rgb.shape == expected.shape
    assert frame.rgb.flags.c_contiguous
    # Away from the edges between colors, where they mix.
    for y, x in ((0.25, 0.25), (0.25, 0.75), (0.75, 0.25), (0.75, 0.75)):
        row, column = int(y * expected.shape[0]), int(x * expected.shape[1])
        assert np.abs(frame.rgb[row, column].astype(int) - expected[row, column]).max() < 8, (y, x)


def test_probe_reports_mirroring_and_rotation(tmp_path: Path) -> None:
    matrix, _ = ORIENTATIONS["transposed"]
    path = set_display_matrix(encode_images(tmp_path / "clip.mp4", [four_corners()] * 2), *matrix)
    with path.open("rb") as file:
        video = probe(file, size_bytes=path.stat().st_size)
    assert (video.width_px, video.height_px) == (48, 64)
    assert (video.coded_width_px, video.coded_height_px) == (64, 48)
    assert (video.mirrored, video.rotation_deg) == (True, 270)
    assert np.array_equal(np.rot90(four_corners()[:, ::-1]), np.swapaxes(four_corners(), 0, 1))


@pytest.mark.parametrize(
    ("sample_aspect", "size_px"),
    [
        (Fraction(1), (64, 48)),
        (Fraction(4, 3), (85, 48)),
        (Fraction(16, 15), (68, 48)),
        (Fraction(8, 9), (64, 54)),
    ],
)
@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_pixels_are_square(
    tmp_path: Path, sample_aspect: Fraction, size_px: tuple[int, int], suffix: str
) -> None:
    path = tmp_path / f"clip.{suffix}"
    encode_images(path, [four_corners()] * 2, sample_aspect=sample_aspect)
    with path.open("rb") as file:
        video = probe(file, size_bytes=path.stat().st_size)
    assert (video.width_px, video.height_px) == size_px
    assert Fraction(video.sample_aspect_num, video.sample_aspect_den) == sample_aspect
    frame, _ = read(path, video=video)
    assert frame.rgb.shape == (size_px[1], size_px[0], 3)
    assert frame.rgb[2, -3].argmax() == 1, "the green corner is where it was"


def test_wide_pixels_of_a_rotated_frame_become_tall() -> None:
    display = Display((64, 48), Fraction(4, 3), mirrored=False, rotation_deg=90)
    assert (display.stretched_px, display.size_px) == ((85, 48), (48, 85))


def test_the_stretched_size_is_limited(tmp_path: Path) -> None:
    path = encode_images(tmp_path / "c.mp4", [four_corners()] * 2, sample_aspect=Fraction(40, 1))
    with pytest.raises(Exception, match="at most 100000 pixels") as raised:
        read(path, limits=Limits(max_pixels=100_000))
    assert getattr(raised.value, "kind", None) == "over_limit"


def test_unknown_side_data_does_not_hide_the_rotation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PyAV returns no side data if it does not know every type in it."""
    path = encode_images(tmp_path / "clip.mp4", [np.rot90(four_corners())] * 2, rotation_deg=90)
    monkeypatch.setattr(av.sidedata.sidedata, "Type", lambda _: int("unknown"))
    first, _ = read(path)
    assert first.rgb.shape[:2] == (64, 48)
