import io
from pathlib import Path

import av
import numpy as np
import pytest

from pvtt_flow.errors import DataError
from pvtt_flow.types import Video
from pvtt_flow.video.limits import Limits
from pvtt_flow.video.probe import probe
from tests.video.clip_maker import write_clip, write_sound
from tests.video.counters import CountingFile
from tests.video.ffmpeg_files import H264, VP8, write_pattern
from tests.video.packets import position_of, video_packets


def probe_path(path: Path, limits: Limits | None = None) -> Video:
    with path.open("rb") as file:
        return probe(file, size_bytes=path.stat().st_size, limits=limits or Limits())


def failure_of(data: bytes) -> DataError:
    with pytest.raises(DataError) as caught:
        probe(io.BytesIO(data), size_bytes=len(data))
    return caught.value


def test_facts_of_a_clip(tmp_path: Path) -> None:
    video = probe_path(write_clip(tmp_path / "clip.mp4", 10))
    assert video == Video(
        container="mov,mp4,m4a,3gp,3g2,mj2",
        codec="h264",
        pixel_format="yuv420p",
        width_px=96,
        height_px=64,
        coded_width_px=96,
        coded_height_px=64,
        rotation_deg=0,
        fps_num=25,
        fps_den=1,
        duration_ns=400_000_000,
        num_frames_from_header=10,
    )


def test_a_container_that_counts_no_frames(tmp_path: Path) -> None:
    assert probe_path(write_clip(tmp_path / "clip.mkv", 10)).num_frames_from_header is None


@pytest.mark.parametrize("end", ["mkv", "webm", "nut", "asf", "ts", "mp4"])
def test_a_clock_that_starts_late_adds_nothing_to_the_duration(tmp_path: Path, end: str) -> None:
    codec = VP8 if end == "webm" else H264
    # As a camera does that counts since it was switched on.
    path = write_pattern(tmp_path / f"clip.{end}", *codec, "-output_ts_offset", "30000")
    assert probe_path(path).duration_ns == pytest.approx(10**9, rel=0.05)


def test_the_largest_long_track_is_chosen(tmp_path: Path) -> None:
    path = tmp_path / "tracks.mp4"
    sizes_and_frames = [((64, 48), 12), ((128, 96), 10), ((256, 192), 2)]
    with av.open(path, "w") as file:
        streams = []
        for (width_px, height_px), _ in sizes_and_frames:
            stream = file.add_stream("libx264", rate=25)
            stream.width, stream.height, stream.pix_fmt = width_px, height_px, "yuv420p"
            streams.append(stream)
        for stream, (_, num_frames) in zip(streams, sizes_and_frames, strict=True):
            for _ in range(num_frames):
                rgb = np.zeros((stream.height, stream.width, 3), np.uint8)
                file.mux(stream.encode(av.VideoFrame.from_ndarray(rgb)))
            file.mux(stream.encode(None))
    video = probe_path(path)
    assert (video.width_px, video.height_px, video.num_frames_from_header) == (128, 96, 10)
    with pytest.raises(DataError, match=r"at most 2 streams \(max_streams\), got 3") as caught:
        probe_path(path, Limits(max_streams=2))
    assert caught.value.kind == "over_limit"


def test_probing_reads_a_few_ranges(tmp_path: Path) -> None:
    data = write_clip(tmp_path / "clip.mp4", 5).read_bytes() + bytes(4_000_000)
    file = CountingFile(data)
    probe(file, size_bytes=len(data))
    assert file.num_bytes_read < 1_000_000


def test_a_file_without_an_end() -> None:
    with Path("/proc/self/status").open("rb") as file, pytest.raises(DataError) as caught:
        probe(file, size_bytes=0)
    assert caught.value.kind == "unreadable"
    assert "must be a regular one that has an end" in str(caught.value)


def test_empty_file() -> None:
    error = failure_of(b"")
    assert error.kind == "empty_file"
    assert str(error).startswith("the file must have content, got 0 bytes; upload it again")


@pytest.mark.parametrize(
    "data",
    [
        b"this is no video, it is text named .mp4\n" * 100,
        b"[project]\nname = 'lyrics to FFmpeg'\n[tool]\n" * 20,
        bytes(5000),
        bytes(range(256)) * 40,
        b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom",
    ],
    ids=["text", "brackets", "zeros", "bytes", "bare header"],
)
def test_not_a_video(data: bytes) -> None:
    error = failure_of(data)
    assert error.kind == "not_a_video"
    assert "the content must be a video file, but FFmpeg" in str(error)
    assert "upload it again or take it out of the input" in str(error)


def test_a_truncated_index_at_the_end(tmp_path: Path) -> None:
    data = write_clip(tmp_path / "clip.mp4", 20).read_bytes()
    index_at = data.index(b"moov") - 4
    index = data[index_at : index_at + int.from_bytes(data[index_at : index_at + 4], "big")]
    without = data.replace(index, b"")
    error = failure_of(without[: len(without) // 2])
    assert error.kind == "not_a_video"


def test_a_playlist_opens_nothing_else(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", 3)
    assert failure_of(f"ffconcat version 1.0\nfile {path}\n".encode()).kind == "not_a_video"


def test_sound_only(tmp_path: Path) -> None:
    error = failure_of(write_sound(tmp_path / "sound.mp4").read_bytes())
    assert error.kind == "no_video_stream"
    assert "the file must have a video track, got only audio tracks" in str(error)


def test_a_title_may_have_any_encoding(tmp_path: Path) -> None:
    data = write_clip(tmp_path / "clip.mp4", 3).read_bytes()
    assert b"Lavf" in data
    assert (
        probe(io.BytesIO(data.replace(b"Lavf", b"L\xe4vf")), size_bytes=len(data)).codec == "h264"
    )


def test_a_video_without_a_decodable_frame(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", 10)
    start = min(map(position_of, video_packets(path)))
    data = path.read_bytes()
    error = failure_of(data[:start] + bytes(len(data) - start))
    assert error.kind == "undecodable"
    assert "the video track (h264) must have at least one frame that decodes" in str(error)


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (Limits(max_bytes=100), "a file must have at most 100 bytes (max_bytes), got "),
        (Limits(max_pixels=96), "a frame must have at most 96 pixels (max_pixels), got 96x64"),
        (Limits(max_frames=9), "a video must have at most 9 frames (max_frames), got 10"),
        (Limits(max_duration_s=0.3), "a video must last at most 0.3 s (max_duration_s), got 0.4 s"),
    ],
)
def test_limits(tmp_path: Path, limits: Limits, message: str) -> None:
    with pytest.raises(DataError) as caught:
        probe_path(write_clip(tmp_path / "clip.mp4", 10), limits)
    assert caught.value.kind == "over_limit"
    assert message in str(caught.value)
    assert "raise the limit" in str(caught.value)
