"""Converted colors equal the formulas of the standards."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.filter import Graph
from av.video.reformatter import ColorPrimaries, ColorRange, ColorTrc
from numpy.typing import NDArray

from pvtt_flow.video.color.tone_mapping import Transfer, to_sdr
from tests.video.clip_maker import read

# Weights of red and blue in luma: ITU-R BT.601, BT.709 and BT.2020, by H.273's number.
LUMA = {6: (0.299, 0.114), 1: (0.2126, 0.0722), 9: (0.2627, 0.0593)}
UNSPECIFIED = 2
COLORS = np.array(
    [[200, 40, 30], [30, 180, 60], [40, 60, 200], [220, 200, 40], [128, 128, 128], [250, 250, 250]]
)
SIDE_PX = 32


def encode_to_planes(
    rgb: NDArray[np.float64], matrix: int, *, bits: int, full: bool
) -> NDArray[np.int64]:
    """Convert R'G'B' in [0, 1] to Y', Cb and Cr (N, 3), as the standards quantize them."""
    red, blue = LUMA[matrix]
    luma = rgb @ np.array([red, 1 - red - blue, blue])
    chroma = [(rgb[:, 2] - luma) / (2 - 2 * blue), (rgb[:, 0] - luma) / (2 - 2 * red)]
    unit, top = 1 << (bits - 8), (1 << bits) - 1
    if full:
        coded = [luma * top, *(c * top + (top + 1) / 2 for c in chroma)]
    else:
        coded = [(16 + 219 * luma) * unit, *((128 + 224 * c) * unit for c in chroma)]
    return np.asarray(np.rint(np.clip(np.stack(coded, axis=-1), 0, top)), np.int64)


def write_colors(
    path: Path,
    planes: NDArray[np.int64],
    pixel_format: str,
    *,
    matrix: int,
    full: bool = False,
    trc: int = UNSPECIFIED,
    scale: int = 1,
) -> Path:
    """Write two lossless frames with a square of each color, side by side."""
    squares = np.repeat(planes, SIDE_PX * scale, axis=0)
    layout = av.VideoFormat(pixel_format)
    size_px = (len(squares), SIDE_PX * scale)
    with av.open(path, "w") as file:
        stream = file.add_stream("ffv1", rate=25)
        stream.width, stream.height = size_px
        stream.pix_fmt = pixel_format
        context = stream.codec_context
        context.colorspace = matrix
        context.color_range = ColorRange.JPEG if full else ColorRange.MPEG
        context.color_trc = trc
        context.color_primaries = ColorPrimaries.BT2020 if matrix == 9 else ColorPrimaries.BT709
        for nth in range(2):
            frame = av.VideoFrame(*size_px, pixel_format)
            for index, plane in enumerate(frame.planes):
                step = len(squares) // plane.width
                rows = np.tile(squares[::step, index], (plane.height, 1))
                wide = layout.components[0].bits > 8
                samples = np.frombuffer(memoryview(plane), np.uint16 if wide else np.uint8)
                samples.reshape(plane.height, -1)[:, : plane.width] = rows
            frame.pts = nth
            frame.colorspace, frame.color_range = matrix, context.color_range
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path


def decoded_colors(path: Path) -> NDArray[np.int64]:
    """Return (N, 3): the middle of each square."""
    frame, _ = read(path)
    height_px, width_px, _ = frame.rgb.shape
    side_px = width_px // len(COLORS)
    return frame.rgb[height_px // 2, side_px // 2 :: side_px].astype(np.int64)


@pytest.mark.parametrize("full", [False, True], ids=["limited", "full"])
@pytest.mark.parametrize("matrix", LUMA)
@pytest.mark.parametrize(
    ("pixel_format", "bits"),
    [("yuv420p", 8), ("yuv422p", 8), ("yuv444p", 8), ("yuv420p10le", 10), ("yuv444p12le", 12)],
)
def test_matrix_range_and_depth(
    tmp_path: Path, pixel_format: str, bits: int, matrix: int, *, full: bool
) -> None:
    planes = encode_to_planes(COLORS / 255, matrix, bits=bits, full=full)
    path = write_colors(tmp_path / "c.mkv", planes, pixel_format, matrix=matrix, full=full)
    assert np.abs(decoded_colors(path) - COLORS).max() <= 3


@pytest.mark.parametrize(("scale", "matrix"), [(1, 6), (7, 1)])
def test_an_unspecified_matrix_follows_the_frame_size(
    tmp_path: Path, scale: int, matrix: int
) -> None:
    planes = encode_to_planes(COLORS / 255, matrix, bits=8, full=False)
    path = tmp_path / "c.mkv"
    write_colors(path, planes, "yuv444p", matrix=UNSPECIFIED, scale=scale)
    assert np.abs(decoded_colors(path) - COLORS).max() <= 3


@pytest.mark.parametrize(
    ("trc", "transfer"), [(ColorTrc.SMPTE2084, "pq"), (ColorTrc.ARIB_STD_B67, "hlg")]
)
def test_high_dynamic_range(tmp_path: Path, trc: int, transfer: Transfer) -> None:
    # Muted colors are not clipped; a table is less exact where colors are clipped.
    muted = 0.35 + 0.25 * COLORS / 255
    planes = encode_to_planes(muted, 9, bits=10, full=False)
    path = write_colors(tmp_path / "c.mkv", planes, "yuv444p10le", matrix=9, trc=trc)
    assert np.abs(decoded_colors(path) - 255 * to_sdr(muted, transfer)).max() <= 6


def write_interlaced(path: Path, woven: list[NDArray[np.uint8]], *, first: int) -> Path:
    """Write an interlaced clip; `first` is the row at which the earlier field starts, 0 or 1."""
    graph = Graph()
    size_px = {"width": woven[0].shape[1], "height": woven[0].shape[0]}
    source = graph.add_buffer(
        **size_px, format=av.VideoFormat("yuv422p"), time_base=Fraction(1, 25)
    )
    setfield = graph.add("setfield", "tff" if first == 0 else "bff")
    graph.link_nodes(source, setfield, graph.add("buffersink")).configure()
    with av.open(path, "w") as file:
        options = {"x264-params": "tff=1" if first == 0 else "bff=1", "crf": "10"}
        stream = file.add_stream("libx264", rate=25, options=options)
        stream.width, stream.height = size_px["width"], size_px["height"]
        stream.pix_fmt = "yuv422p"
        for nth, rgb in enumerate(woven):
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format="yuv422p")
            frame.pts, frame.time_base = nth, Fraction(1, 25)
            graph.vpush(frame)
            file.mux(stream.encode(graph.vpull()))
        file.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("first", [0, 1], ids=["top field first", "bottom field first"])
def test_an_interlaced_frame_keeps_one_field(tmp_path: Path, first: int) -> None:
    """The second field has the bar elsewhere; without deinterlacing it would show as a comb."""
    woven = np.full((64, 96, 3), 30, np.uint8)
    woven[first::2, 16:32] = 220
    woven[1 - first :: 2, 48:64] = 220
    frames = read(write_interlaced(tmp_path / "clip.mp4", [woven] * 4, first=first))
    assert [frame.frame_index for frame in frames] == [0, 1, 2, 3]
    for frame in frames:
        shown = frame.rgb[8:-8].mean(axis=(0, 2))
        assert shown[20:28] == pytest.approx(220, abs=8)
        assert shown[52:60] == pytest.approx(30, abs=8)


@pytest.mark.parametrize("alpha", [0, 51, 255])
def test_transparent_pixels_are_composed_over_white(tmp_path: Path, alpha: int) -> None:
    rgba = np.full((32, 48, 4), (200, 40, 30, alpha), np.uint8)
    path = tmp_path / "clip.mov"
    with av.open(path, "w") as file:
        stream = file.add_stream("png", rate=25)
        stream.width, stream.height, stream.pix_fmt = 48, 32, "rgba"
        for nth in range(2):
            frame = av.VideoFrame.from_ndarray(rgba, format="rgba")
            frame.pts = nth
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    first, _ = read(path)
    expected = 255 + (np.array([200, 40, 30]) - 255) * alpha / 255
    assert np.abs(first.rgb[16, 24] - expected).max() <= 1
