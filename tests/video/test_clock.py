"""Times of frames in every container, on clocks that restart, jump, wrap or are missing."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pvtt_flow.core.shots import ShotParams, partition, shots_of
from pvtt_flow.core.timeline import FrameTime, SamplingParams
from pvtt_flow.video.read import read_frames_at_times
from tests.video.clip_edits import remux_with_times
from tests.video.clip_maker import read
from tests.video.ffmpeg_files import (
    H264,
    HEVC,
    MPEG2,
    OPEN_GROUPS,
    PYRAMID,
    THEORA,
    VP8,
    ffmpeg,
    join,
    write_joined,
    write_pattern,
)
from tests.video.frame_hash import decoded_hashes, ffmpeg_hashes
from tests.video.matroska_maker import write_restarting_segment
from tests.video.test_scan import probe_and_scan

NS_PER_MS = 1_000_000
XVID = ("-c:v", "libxvid", "-g", "12", "-bf", "2")
# Name of the file, and the options that encode it.
FILES: dict[str, tuple[str, ...]] = {
    **{f"h264.{end}": (*H264, *PYRAMID) for end in ("avi", "asf", "ts", "m2ts", "flv", "mkv")},
    **{f"h264.{end}": (*H264, *PYRAMID) for end in ("mp4", "mov", "nut", "h264")},
    **{f"open.{end}": (*H264, *OPEN_GROUPS) for end in ("avi", "ts", "h264")},
    **{f"hevc.{end}": HEVC for end in ("ts", "mkv", "mp4", "hevc")},
    **{f"mpeg2.{end}": MPEG2 for end in ("avi", "ts", "m2ts", "mpg", "vob", "mkv", "mxf", "m2v")},
    **{f"mpeg1.{end}": ("-c:v", "mpeg1video", "-bf", "2") for end in ("avi", "mpg")},
    **{f"mpeg4.{end}": ("-c:v", "mpeg4", "-bf", "2") for end in ("avi", "ts", "mp4", "m4v")},
    "packed.avi": XVID,
    **{f"vp8.{end}": VP8 for end in ("webm", "avi", "ogg", "ivf")},
    "theora.ogg": ("-c:v", "libtheora"),
    "mjpeg.mjpeg": ("-c:v", "mjpeg"),
    "flash.flv": ("-c:v", "flv"),
    "h263.h263": ("-c:v", "h263", "-s", "128x96"),
    "variable.avi": (*H264, "-vf", "setpts='if(lt(N,9),N,3*N)/24/TB'", "-fps_mode", "passthrough"),
    "variable.ts": (*H264, "-vf", "setpts='if(lt(N,9),N,3*N)/24/TB'", "-fps_mode", "passthrough"),
    # 33 bits of 90 kHz end at 95443.7 s.
    "wrap.ts": (*H264, *PYRAMID, "-output_ts_offset", "95442.5"),
    "wrap.mpg": (*MPEG2, "-output_ts_offset", "95442.5"),
}


@pytest.mark.parametrize("name", FILES)
def test_frames_and_times_equal_ffmpegs(tmp_path: Path, always_seek: None, name: str) -> None:
    path = write_pattern(tmp_path / name, *FILES[name])
    stream_index, frames, truncated_at = decoded_hashes(path)
    assert (frames, truncated_at) == (ffmpeg_hashes(path, stream_index), None)
    assert len(frames) >= 22
    assert all(before.pts_ns < after.pts_ns for before, after in pairwise(frames))
    for chosen in (read(path)[1::7], read(path)[-2:]):
        wanted = [FrameTime(frame.frame_index, frame.pts_ns) for frame in chosen]
        with path.open("rb") as file:
            found = list(read_frames_at_times(file, wanted))
        assert [(f.frame_index, f.pts_ns) for f in found] == wanted
        assert all((one.rgb == other.rgb).all() for one, other in zip(found, chosen, strict=True))


@pytest.mark.parametrize(
    ("name", "options", "starts_s"),
    [
        ("same.ts", (*H264, *PYRAMID), (0, 0, 0)),
        ("open.ts", (*H264, *OPEN_GROUPS), (0, 0, 0)),
        ("back.ts", (*H264, *PYRAMID), (40, 0, 20)),
        ("gap.ts", (*H264, *PYRAMID), (0, 20, 40)),
        ("gap_that_stays.ts", (*H264, *PYRAMID), (0, 5, 10)),
        ("no_gap.ts", (*H264, *PYRAMID), (0, 1, 2)),
        ("hevc.ts", HEVC, (0, 0, 0)),
        ("mpeg2.ts", MPEG2, (0, 0, 0)),
        ("camera.m2ts", (*H264, *PYRAMID), (0, 0, 0)),
        ("disc.vob", MPEG2, (0, 0, 0)),
        ("tape.mpg", MPEG2, (0, 30, 0)),
        ("theora.ogv", THEORA, (0, 0, 0)),
        ("vp8.ogv", VP8, (0, 0, 0)),
    ],
)
def test_joined_recordings_go_on_as_in_ffmpeg(
    tmp_path: Path, name: str, options: Sequence[str], starts_s: Sequence[float]
) -> None:
    path = write_joined(tmp_path / name, *options, starts_s=starts_s)
    stream_index, frames, truncated_at = decoded_hashes(path)
    # With `-copyts` FFmpeg would not mend the clock; without, it starts at 0.
    ffmpegs = ffmpeg_hashes(path, stream_index, copy_times=False)
    assert truncated_at is None
    assert len(frames) == 72
    assert [frame.md5 for frame in frames] == [frame.md5 for frame in ffmpegs]
    late_ns = frames[0].pts_ns - ffmpegs[0].pts_ns
    for frame, expected in zip(frames, ffmpegs, strict=True):
        # FFmpeg rounds to the ticks of the file.
        assert abs(frame.pts_ns - late_ns - expected.pts_ns) <= 12_000


def test_a_joined_recording_with_sound_after_one_without(tmp_path: Path) -> None:
    """PyAV ends the stream of the sound as well, which it has not seen at the start."""
    silent = write_pattern(tmp_path / "silent.ogv", *THEORA)
    loud = tmp_path / "loud.ogv"
    ffmpeg("-i", silent, "-f", "lavfi", "-i", "sine=duration=1", "-c:v", "copy", loud)
    path = join(tmp_path / "joined.ogv", [silent, loud])
    assert decoded_hashes(path).truncated_at is None
    assert len(decoded_hashes(path).frames) == 48


def test_segments_that_do_not_start_with_a_keyframe(tmp_path: Path) -> None:
    options = ("-f", "segment", "-segment_time", "0.7", "-break_non_keyframes", "1")
    write_pattern(tmp_path / "part%d.ts", *H264, *options, num_frames=72)
    parts = sorted(tmp_path.glob("part*.ts"))
    assert len(parts) > 2
    path = join(tmp_path / "joined.ts", parts)
    stream_index, frames, truncated_at = decoded_hashes(path)
    assert (frames, truncated_at) == (ffmpeg_hashes(path, stream_index), None)
    assert len(frames) == 72


def test_zeros_at_the_end_of_a_transport_stream_are_no_damage(tmp_path: Path) -> None:
    path = write_pattern(tmp_path / "clip.ts", *H264, *PYRAMID)
    path.write_bytes(path.read_bytes() + bytes(200_000))
    stream_index, frames, truncated_at = decoded_hashes(path)
    assert (frames, truncated_at) == (ffmpeg_hashes(path, stream_index), None)
    assert len(frames) == 24


def test_three_recordings_of_a_browser_are_three_shots(tmp_path: Path) -> None:
    path = write_joined(tmp_path / "clip.webm", *VP8, "-live", "1", "-cluster_time_limit", "300")
    video, scan = probe_and_scan(path)
    assert scan.truncation is None
    assert not scan.seekable
    times_ms = [time_ns / NS_PER_MS for time_ns in scan.times_ns]
    assert times_ms == pytest.approx([i * 1000 / 24 for i in range(72)], abs=1)
    intervals = partition((24, 48), scan.times_ns, scan.end_ns, ShotParams())
    shots = shots_of("v", intervals, scan.times_ns, scan.end_ns)
    assert [shot.stop_frame - shot.start_frame for shot in shots] == [24, 24, 24]
    assert [round((shot.stop_ns - shot.start_ns) / NS_PER_MS) for shot in shots] == [1000] * 3
    frames = read(path, sampling=SamplingParams(target_fps=12))
    assert [frame.frame_index for frame in frames] == list(range(0, 72, 2))
    params = ShotParams(max_length_s=1)
    halves = partition((), scan.times_ns, scan.end_ns, params)
    assert [stop - start for start, stop in halves] == [24, 24, 24]
    assert video.fps_num / video.fps_den == 24


rising_ms = st.lists(st.integers(1, 90), min_size=6, max_size=9).map(
    lambda gaps: [sum(gaps[:i]) for i in range(len(gaps))]
)


@settings(max_examples=10)
@given(rising_ms, rising_ms, st.integers(0, 900))
def test_a_clock_never_goes_back(
    tmp_path_factory: pytest.TempPathFactory, before: list[int], after: list[int], start_ms: int
) -> None:
    folder = tmp_path_factory.mktemp("clock")
    after = [start_ms + ms for ms in after]
    data = [remux_with_times(folder, times_ms).read_bytes() for times_ms in (before, after)]
    path = folder / "joined.mkv"
    path.write_bytes(b"".join(data))
    times_ms = [frame.pts_ns / NS_PER_MS for frame in read(path)]
    assert times_ms[: len(before)] == before
    seconds = times_ms[len(before) :]
    if start_ms <= before[0] or start_ms < before[-1] - 100:
        assert before[-1] < seconds[0] <= before[-1] + 90
        assert [ms - seconds[0] for ms in seconds] == [ms - after[0] for ms in after]
    else:
        assert seconds == [max(ms, before[-1]) for ms in after]


def test_shots_of_frames_at_one_time_have_a_length() -> None:
    shots = shots_of("v", [(0, 2), (2, 3), (3, 4)], [0, 0, 0, 40], 80)
    assert [(shot.start_ns, shot.stop_ns) for shot in shots] == [(0, 1), (0, 40), (40, 80)]


def test_a_restart_within_one_segment_is_not_sought(tmp_path: Path, always_seek: None) -> None:
    path = write_restarting_segment(tmp_path)
    frames = read(path)
    assert len(frames) == 96
    with path.open("rb") as file:
        for frame in (frames[60], frames[90]):
            wanted = [FrameTime(frame.frame_index, frame.pts_ns)]
            (found,) = read_frames_at_times(file, wanted)
            assert (found.rgb == frame.rgb).all()
