import gc
import itertools
from fractions import Fraction
from pathlib import Path

import av
import pytest

from pvtt_flow.core.timeline import SamplingParams
from pvtt_flow.errors import DataError
from pvtt_flow.video.limits import Limits
from pvtt_flow.video.probe import probe
from pvtt_flow.video.read import read_frames, read_frames_at_indices
from tests.video.clip_maker import number_of, read, write_clip
from tests.video.counters import CountingFile
from tests.video.packets import seconds_of


def test_every_frame_has_its_number(clip: Path) -> None:
    frames = read(clip)
    assert [number_of(frame.rgb) for frame in frames] == list(range(48))
    assert [frame.frame_index for frame in frames] == list(range(48))
    assert [frame.pts_ns for frame in frames] == [i * 40_000_000 for i in range(48)]
    assert frames[0].rgb.shape == (64, 96, 3)
    assert frames[0].rgb.dtype == "uint8"
    assert frames[0].rgb.flags.c_contiguous


def test_frames_stay_valid_after_the_next_one(clip: Path) -> None:
    with clip.open("rb") as file:
        frames = read_frames(file)
        first, second = next(frames), next(frames)
        frames.close()
    assert (number_of(first.rgb), number_of(second.rgb)) == (0, 1)


@pytest.mark.parametrize("rotation_deg", [90, 180, 270])
def test_rotated_video_is_upright(tmp_path: Path, rotation_deg: int) -> None:
    path = write_clip(tmp_path / "turned.mp4", 5, rotation_deg=rotation_deg)
    with path.open("rb") as file:
        video = probe(file, size_bytes=path.stat().st_size)
        frames = list(read_frames(file, video=video))
    assert [number_of(frame.rgb) for frame in frames] == list(range(5))
    assert frames[0].rgb.shape == (64, 96, 3)
    assert frames[0].rgb.flags.c_contiguous
    assert video.rotation_deg == rotation_deg
    assert (video.width_px, video.height_px) == (96, 64)
    coded = (video.coded_width_px, video.coded_height_px)
    assert coded == ((96, 64) if rotation_deg == 180 else (64, 96))


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_variable_rate_keeps_its_times(tmp_path: Path, suffix: str) -> None:
    pts_ms = [0, 10, 200, 230, 1000, 1033]
    frames = read(write_clip(tmp_path / f"vfr{suffix}", 6, pts_ms=pts_ms))
    assert [frame.pts_ns // 1_000_000 for frame in frames] == pts_ms
    assert [number_of(frame.rgb) for frame in frames] == list(range(6))


def test_frames_without_timestamps_follow_the_nominal_rate(tmp_path: Path) -> None:
    frames = read(write_clip(tmp_path / "raw.h264", 6, container_format="h264"))
    assert [frame.pts_ns for frame in frames] == [i * 40_000_000 for i in range(6)]


def test_interval_and_stride(clip: Path) -> None:
    frames = read(clip, start_frame=5, stop_frame=20, sampling=SamplingParams(stride=4))
    assert [frame.frame_index for frame in frames] == [5, 9, 13, 17]
    assert [number_of(frame.rgb) for frame in frames] == [5, 9, 13, 17]


def test_target_fps_on_variable_rate(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "vfr.mkv", 8, pts_ms=[0, 33, 67, 100, 133, 250, 283, 300])
    frames = read(path, sampling=SamplingParams(target_fps=10.0))
    assert [number_of(frame.rgb) for frame in frames] == [0, 3, 5, 7]


def test_frames_at_indices(clip: Path) -> None:
    with clip.open("rb") as file:
        frames = read_frames_at_indices(file, [40, 3, 3])
        assert read_frames_at_indices(file, []) == {}
    assert {index: number_of(frame.rgb) for index, frame in frames.items()} == {3: 3, 40: 40}


def test_a_frame_past_the_end_is_a_bad_prompt(clip: Path) -> None:
    with clip.open("rb") as file, pytest.raises(DataError) as caught:
        read_frames_at_indices(file, [48])
    assert caught.value.kind == "bad_prompt"
    assert "frame_index must be below 48" in str(caught.value)
    assert "got 48" in str(caught.value)


def test_closing_midway_leaves_the_file_open_and_usable(clip: Path) -> None:
    with clip.open("rb") as file:
        frames = read_frames(file)
        next(frames)
        frames.close()
        gc.collect()
        assert not file.closed
        assert number_of(next(read_frames(file)).rgb) == 0


def test_frames_are_decoded_when_they_are_requested(clip: Path) -> None:
    file = CountingFile(clip.read_bytes() + bytes(2_000_000))
    assert len(list(itertools.islice(read_frames(file), 3))) == 3
    assert file.num_bytes_read < 600_000


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (Limits(max_frames=10), r"at most 10 frames \(max_frames\), got 11"),
        (Limits(max_duration_s=1.0), r"at most 1 s \(max_duration_s\), got 1.0 s"),
        (Limits(max_pixels=96), r"at most 96 pixels \(max_pixels\), got 96x64"),
    ],
)
def test_limits_hold_while_decoding(tmp_path: Path, limits: Limits, message: str) -> None:
    # A Matroska header has no frame count, so the limit applies while decoding.
    path = write_clip(tmp_path / "long.mkv", 30)
    with pytest.raises(DataError, match=message) as caught:
        read(path, limits=limits)
    assert caught.value.kind == "over_limit"


def test_timestamps_are_those_of_the_container(tmp_path: Path) -> None:
    frames = read(write_clip(tmp_path / "late.ts", 4, container_format="mpegts"))
    with av.open(str(tmp_path / "late.ts")) as container:
        expected = [seconds_of(frame) for frame in container.decode(video=0)]
    assert [Fraction(frame.pts_ns, 10**9) for frame in frames] == expected
    assert frames[0].pts_ns > 0


def test_colors_that_cannot_be_converted(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", 3, options={"colorspace": "ictcp"})
    with pytest.raises(DataError) as caught:
        read(path)
    assert caught.value.kind == "undecodable"
    assert "got yuv420p with matrix 14 and range 1 (H.273): Operation not" in str(caught.value)
