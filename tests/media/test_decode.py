import gc
import io
import itertools
import pickle
from fractions import Fraction
from pathlib import Path

import av
import pytest
from clip_maker import number_of, write_clip

from pvtt_flow.core.timeline import SamplingParams
from pvtt_flow.data import Frame
from pvtt_flow.errors import DataError
from pvtt_flow.media.coded import coded_frames
from pvtt_flow.media.container import open_container
from pvtt_flow.media.decode import DecodeBreakError, read_frame, read_frames, read_frames_at
from pvtt_flow.media.limits import DEFAULT_LIMITS, Limits
from pvtt_flow.media.probe import probe


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", 48)


def read(path: Path, **options: object) -> list[Frame]:
    with path.open("rb") as file:
        return list(read_frames(file, **options))


def until_break(path: Path) -> tuple[list[int], DecodeBreakError]:
    numbers = []
    with path.open("rb") as file, pytest.raises(DecodeBreakError) as caught:
        numbers.extend(number_of(frame.rgb) for frame in read_frames(file))
    return numbers, caught.value


def test_every_frame_is_the_one_it_says(clip: Path) -> None:
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


def test_frames_without_times_follow_each_other_at_the_nominal_rate(tmp_path: Path) -> None:
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


def test_single_frames(clip: Path) -> None:
    with clip.open("rb") as file:
        assert number_of(read_frame(file, 37).rgb) == 37
        frames = read_frames_at(file, [40, 3, 3])
        assert read_frames_at(file, []) == {}
    assert {index: number_of(frame.rgb) for index, frame in frames.items()} == {3: 3, 40: 40}


def test_a_frame_past_the_end_is_a_bad_prompt(clip: Path) -> None:
    with clip.open("rb") as file, pytest.raises(DataError) as caught:
        read_frame(file, 48)
    assert caught.value.kind == "bad_prompt"
    assert "frame_index must be below 48" in str(caught.value)
    assert "got 48" in str(caught.value)


@pytest.mark.parametrize("at", ["inside a packet", "between packets"])
def test_a_cut_file_gives_its_good_frames_then_breaks(tmp_path: Path, clip: Path, at: str) -> None:
    with av.open(str(clip)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    stop = packets[30].pos + (packets[30].size // 2 if at == "inside a packet" else 0)
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(clip.read_bytes()[:stop])
    numbers, error = until_break(cut)
    assert numbers == list(range(len(numbers)))
    assert 24 <= len(numbers) <= 30
    assert error.frame_index == len(numbers)
    assert error.kind == "undecodable"
    assert f"decoding broke at frame {len(numbers)}: the file ends" in str(error)
    assert read(cut, stop_frame=len(numbers) - 8)[-1].frame_index == len(numbers) - 9


@pytest.mark.parametrize("fraction", [0.5, 0.7, 0.9])
def test_a_cut_matroska_file_breaks_too(tmp_path: Path, fraction: float) -> None:
    data = write_clip(tmp_path / "whole.mkv", 30).read_bytes()
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(data[: int(fraction * len(data))])
    numbers, error = until_break(cut)
    assert numbers == list(range(len(numbers)))
    assert len(numbers) >= 30 * fraction - 6
    assert "the file is shorter than its header says" in str(error)


def test_damaged_bytes_break_where_they_are(tmp_path: Path, clip: Path) -> None:
    data = bytearray(clip.read_bytes())
    with av.open(str(clip)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    packet = packets[20]
    data[packet.pos + 4 : packet.pos + packet.size] = bytes(packet.size - 4)
    hurt = tmp_path / "hurt.mp4"
    hurt.write_bytes(data)
    numbers, error = until_break(hurt)
    assert numbers == list(range(len(numbers)))
    assert 16 <= len(numbers) <= 20
    assert error.frame_index == len(numbers)


def test_a_break_does_not_depend_on_threads(tmp_path: Path, clip: Path) -> None:
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(clip.read_bytes()[:60_000])
    counts = set()
    for num_threads in (1, 2, 4):
        with cut.open("rb") as file, open_container(file, DEFAULT_LIMITS) as opened:
            with pytest.raises(DecodeBreakError) as caught:
                list(coded_frames(opened, DEFAULT_LIMITS, num_threads=num_threads))
            counts.add(caught.value.frame_index)
    assert len(counts) == 1


def test_a_size_that_changes_is_a_break(tmp_path: Path) -> None:
    small = write_clip(tmp_path / "a.h264", 4, container_format="h264")
    wide = write_clip(tmp_path / "b.h264", 4, container_format="h264", size_px=(128, 64))
    both = tmp_path / "both.h264"
    both.write_bytes(small.read_bytes() + wide.read_bytes())
    numbers, error = until_break(both)
    assert numbers == [0, 1, 2, 3]
    assert "the picture is 128x64 and no longer 96x64" in str(error)


def test_another_size_than_probed_is_refused(tmp_path: Path, clip: Path) -> None:
    with clip.open("rb") as file:
        video = probe(file, size_bytes=clip.stat().st_size)
    other = write_clip(tmp_path / "other.mp4", 3, size_px=(128, 64))
    with pytest.raises(DataError, match="the picture is 128x64 and no longer 96x64"):
        read(other, video=video)


def test_the_break_error_travels_between_processes() -> None:
    error = pickle.loads(pickle.dumps(DecodeBreakError(7, "why")))  # noqa: S301
    assert (error.frame_index, error.reason, error.kind) == (7, "why", "undecodable")
    assert str(error) == str(DecodeBreakError(7, "why"))


def test_closing_midway_leaves_the_file_open_and_usable(clip: Path) -> None:
    with clip.open("rb") as file:
        frames = read_frames(file)
        next(frames)
        frames.close()
        gc.collect()
        assert not file.closed
        assert number_of(next(read_frames(file)).rgb) == 0


def test_frames_are_decoded_as_they_are_asked_for(clip: Path) -> None:
    class Counted(io.BytesIO):
        num_read = 0

        def read(self, size: int | None = -1) -> bytes:
            data = super().read(size)
            self.num_read += len(data)
            return data

    file = Counted(clip.read_bytes() + bytes(2_000_000))
    assert len(list(itertools.islice(read_frames(file), 3))) == 3
    assert file.num_read < 600_000


def test_a_failed_read_is_not_a_broken_video(clip: Path) -> None:
    class Flaky(io.BytesIO):
        num_reads = 0

        def read(self, size: int | None = -1) -> bytes:
            self.num_reads += 1
            if self.num_reads > 2:
                raise ConnectionError("reset by peer")
            return super().read(min(size or 0, 40_000))

    with pytest.raises(DataError) as caught:
        list(read_frames(Flaky(clip.read_bytes())))
    assert caught.value.kind == "unreadable"
    assert "a read failed with ConnectionError: reset by peer" in str(caught.value)


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (Limits(max_frames=10), r"at most 10 frames \(max_frames\), got 11"),
        (Limits(max_duration_s=1.0), r"at most 1 s \(max_duration_s\), got 1.0 s"),
        (Limits(max_pixels=96), r"at most 96 pixels \(max_pixels\), got 96x64"),
    ],
)
def test_limits_hold_while_decoding(tmp_path: Path, limits: Limits, message: str) -> None:
    # A Matroska header counts no frames, so only decoding tells.
    path = write_clip(tmp_path / "long.mkv", 30)
    with pytest.raises(DataError, match=message) as caught:
        read(path, limits=limits)
    assert caught.value.kind == "over_limit"


def test_times_are_the_containers_own(tmp_path: Path) -> None:
    frames = read(write_clip(tmp_path / "late.ts", 4, container_format="mpegts"))
    with av.open(str(tmp_path / "late.ts")) as container:
        expected = [frame.pts * frame.time_base for frame in container.decode(video=0)]
    assert [Fraction(frame.pts_ns, 10**9) for frame in frames] == expected
    assert frames[0].pts_ns > 0
