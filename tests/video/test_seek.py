import io
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pvtt_flow.core.timeline import FrameTime
from pvtt_flow.errors import DataError, StoreError
from pvtt_flow.types import Frame, Video
from pvtt_flow.video.decode import TruncatedVideoError
from pvtt_flow.video.limits import DEFAULT_LIMITS, Limits
from pvtt_flow.video.probe import probe
from pvtt_flow.video.read import read_frames_at_indices, read_frames_at_times
from tests.video.clip_maker import number_of, write_clip
from tests.video.clips import CLIPS, NumberedClip
from tests.video.counters import CountingFile, count_decoded_frames
from tests.video.real_files import FILES, ExpectedVideo

# Number of frames compared per real video; fewer for large frames.
_MAX_FRAMES, _MAX_LARGE_FRAMES, _LARGE_PX = 100, 20, 500_000
# Clips in which any frame after the first group of pictures can be sought.
SEEKABLE = ["closed groups", "open groups", "VP9", "HEVC", "uneven times", "late start", "turned"]


def time_of(frame: Frame) -> FrameTime:
    return FrameTime(frame.frame_index, frame.pts_ns)


def times_of(frames: Sequence[Frame]) -> list[FrameTime]:
    return [time_of(frame) for frame in frames]


def read_at(
    path: Path,
    wanted: Sequence[FrameTime],
    *,
    video: Video | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> list[Frame]:
    with path.open("rb") as file:
        return list(read_frames_at_times(file, wanted, video=video, limits=limits))


def assert_frames_equal(actual_frames: Sequence[Frame], expected_frames: Sequence[Frame]) -> None:
    assert times_of(actual_frames) == times_of(expected_frames)
    for actual, expected in zip(actual_frames, expected_frames, strict=True):
        assert actual.rgb.flags.c_contiguous
        assert np.array_equal(actual.rgb, expected.rgb), actual.frame_index


@pytest.mark.parametrize("name", CLIPS)
def test_any_frames_equal_those_of_a_decode_from_the_start(
    clip_of: Callable[[str], NumberedClip], always_seek: None, name: str
) -> None:
    clip = clip_of(name)
    draw = random.Random(name)
    choices = [[frame] for frame in clip.frames]
    choices += [sorted(draw.sample(clip.frames, k), key=time_of) for k in (2, 3, 5, 8, 20)]
    choices += [clip.frames, clip.frames[len(clip.frames) // 3 :]]
    for chosen in choices:
        assert_frames_equal(read_at(clip.path, times_of(chosen)), chosen)


@settings(max_examples=40)
@given(name=st.sampled_from(["closed groups", "open groups", "VP9"]), data=st.data())
def test_any_subset_of_frames(
    clip_of: Callable[[str], NumberedClip], name: str, data: st.DataObject
) -> None:
    clip = clip_of(name)
    indices = data.draw(st.sets(st.integers(0, len(clip.frames) - 1)))
    chosen = [clip.frames[index] for index in sorted(indices)]
    assert_frames_equal(read_at(clip.path, times_of(chosen)), chosen)


@pytest.mark.parametrize("name", SEEKABLE)
def test_the_start_is_not_decoded(
    clip_of: Callable[[str], NumberedClip],
    always_seek: None,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    clip = clip_of(name)
    num_decoded = count_decoded_frames(monkeypatch)
    for frame in clip.frames[26:]:
        read_at(clip.path, [time_of(frame)])
        # The first frame; up to two groups, if it is the keyframe of the second; and one ahead.
        assert num_decoded() <= 1 + 24 + 1


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """MP4 file of 90 frames that is larger than FFmpeg's buffer."""
    path = tmp_path_factory.mktemp("large") / "clip.mp4"
    return write_clip(path, 90, size_px=(320, 240), options={"g": "10", "qp": "4"}).read_bytes()


def test_the_start_is_not_read(large: bytes) -> None:
    file = CountingFile(large)
    times = [FrameTime(i, 40_000_000 * i) for i in (50, 51, 85)]
    assert [number_of(frame.rgb) for frame in read_frames_at_times(file, times)] == [50, 51, 85]
    assert file.num_bytes_read < len(large) / 2


def test_frames_are_decoded_when_they_are_requested(
    clip_of: Callable[[str], NumberedClip], always_seek: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = clip_of("closed groups")
    num_decoded = count_decoded_frames(monkeypatch)
    with clip.path.open("rb") as file:
        frames = read_frames_at_times(file, times_of(clip.frames[14:]))
        assert num_decoded() == 0
        assert number_of(next(frames).rgb) == 14
        # The first frame, the keyframe of the second scene, this frame and one ahead.
        assert num_decoded() == 4
        assert number_of(next(frames).rgb) == 15
        assert num_decoded() == 1
        frames.close()
        assert not file.closed
        assert number_of(next(read_frames_at_times(file, [time_of(clip.frames[9])])).rgb) == 9


def test_no_frame_repeats_after_a_fallback_to_the_start(
    clip_of: Callable[[str], NumberedClip], always_seek: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = clip_of("repeated times")
    # Their times ascend, so a seek is tried; only times between them repeat.
    chosen = [*clip.frames[10:21], clip.frames[24], clip.frames[45]]
    num_decoded = count_decoded_frames(monkeypatch)
    assert_frames_equal(read_at(clip.path, times_of(chosen)), chosen)
    assert num_decoded() > 46


@pytest.mark.parametrize(("index", "late_ns"), [(4, 1), (4, 40_000_000), (40, -1), (40, 1)])
def test_a_different_time_means_a_changed_file(
    clip_of: Callable[[str], NumberedClip], index: int, late_ns: int
) -> None:
    frame = clip_of("closed groups").frames[index]
    with pytest.raises(DataError) as caught:
        read_at(clip_of("closed groups").path, [FrameTime(index, frame.pts_ns + late_ns)])
    assert caught.value.kind == "source_changed"
    assert str(caught.value) == (
        f"the file must be the one that was processed, in which frame {index} is at "
        f"{frame.pts_ns + late_ns} ns, but it is at {frame.pts_ns} ns; process it again"
    )


def test_missing_frames_mean_a_changed_file(clip_of: Callable[[str], NumberedClip]) -> None:
    clip = clip_of("closed groups")
    wanted = [time_of(clip.frames[40]), FrameTime(48, 1_920_000_000)]
    with clip.path.open("rb") as file:
        frames = read_frames_at_times(file, wanted)
        assert number_of(next(frames).rgb) == 40
        with pytest.raises(DataError, match=r"frame 48 .* but it has 48 frames") as caught:
            next(frames)
    assert caught.value.kind == "source_changed"


def test_a_wrong_index_means_a_changed_file(
    clip_of: Callable[[str], NumberedClip],
) -> None:
    clip = clip_of("closed groups")
    first, second = time_of(clip.frames[30]), time_of(clip.frames[33])
    with pytest.raises(DataError, match="frame 34 is at 1320000000 ns, but it is at 1360000000"):
        read_at(clip.path, [first, FrameTime(34, second.pts_ns)])


@pytest.mark.parametrize("name", ["cut", "cut, Matroska"])
def test_truncation_before_a_wanted_frame_is_raised(
    clip_of: Callable[[str], NumberedClip], name: str
) -> None:
    clip = clip_of(name)
    wanted = [time_of(clip.frames[-1]), FrameTime(47, 1_880_000_000)]
    with clip.path.open("rb") as file:
        frames = read_frames_at_times(file, wanted)
        assert number_of(next(frames).rgb) == len(clip.frames) - 1
        with pytest.raises(TruncatedVideoError) as caught:
            next(frames)
    assert caught.value.frame_index == len(clip.frames)


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (Limits(max_frames=40), r"at most 40 frames \(max_frames\), got 46"),
        (Limits(max_duration_s=1.7), r"at most 1.7 s \(max_duration_s\), got 1.8 s"),
        (Limits(max_pixels=96), r"at most 96 pixels \(max_pixels\), got 96x64"),
    ],
)
def test_limits_apply(clip_of: Callable[[str], NumberedClip], limits: Limits, message: str) -> None:
    clip = clip_of("late start, Matroska")
    with pytest.raises(DataError, match=message) as caught:
        read_at(clip.path, [time_of(clip.frames[45])], limits=limits)
    assert caught.value.kind == "over_limit"


def test_the_size_must_be_the_probed_one(clip_of: Callable[[str], NumberedClip]) -> None:
    clip = clip_of("turned")
    with clip.path.open("rb") as file:
        video = probe(file, size_bytes=clip.path.stat().st_size)
    assert_frames_equal(
        read_at(clip.path, [time_of(clip.frames[40])], video=video), [clip.frames[40]]
    )
    resized = replace(video, coded_width_px=32)
    with pytest.raises(DataError, match="the frame size must be 32x96, got 64x96"):
        read_at(clip.path, [time_of(clip.frames[40])], video=resized)


def test_wanted_frames_must_ascend(clip_of: Callable[[str], NumberedClip]) -> None:
    clip = clip_of("closed groups")
    assert read_at(clip.path, []) == []
    with pytest.raises(ValueError, match="ascending order of frame_index"):
        read_at(clip.path, [time_of(clip.frames[3]), time_of(clip.frames[3])])


@pytest.mark.parametrize("min_bytes", [0, 1000], ids=["reading the end", "seeking"])
@pytest.mark.parametrize(
    ("error", "raised", "message"),
    [
        (ConnectionError("reset by peer"), DataError, "a read failed with ConnectionError: reset"),
        (StoreError("it is gone"), StoreError, "it is gone"),
    ],
)
def test_a_failed_read_is_not_a_corrupt_video(
    large: bytes, min_bytes: int, error: Exception, raised: type[Exception], message: str
) -> None:
    class Flaky(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() > len(large) // 2 and (size or 0) >= min_bytes:
                raise error
            return super().read(size)

    with pytest.raises(raised, match=message):
        list(read_frames_at_times(Flaky(large), [FrameTime(80, 3_200_000_000)]))


@pytest.mark.parametrize("expected", FILES, ids=lambda expected: expected.name)
def test_real_files(shared_data: Path, always_seek: None, expected: ExpectedVideo) -> None:
    path = shared_data / "videos" / "codec" / expected.name
    max_frames = _MAX_LARGE_FRAMES if math.prod(expected.size_px) > _LARGE_PX else _MAX_FRAMES
    last = min(expected.num_frames, max_frames) - 1
    run = range(last // 2, min(last // 2 + 5, last))
    with path.open("rb") as file:
        frames = read_frames_at_indices(file, {0, *run, last})
        for chosen in ([0, last // 2, last], [last], run):
            wanted = [frames[index] for index in chosen if index in frames]
            assert_frames_equal(list(read_frames_at_times(file, times_of(wanted))), wanted)
