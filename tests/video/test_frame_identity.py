"""Each frame shows its own number, decoded from the start and after a seek."""

from collections.abc import Callable

import pytest

from pvtt_flow.core.timeline import FrameTime
from pvtt_flow.video.read import read_frames_at_times
from tests.video.clip_maker import number_of
from tests.video.clips import CLIPS, NumberedClip
from tests.video.frame_hash import decoded_hashes, ffmpeg_hashes

NS_PER_MS = 1_000_000


@pytest.mark.parametrize("name", CLIPS)
def test_every_frame_has_its_number(clip_of: Callable[[str], NumberedClip], name: str) -> None:
    clip = clip_of(name)
    numbers, pts_ms = list(clip.recipe.numbers), list(clip.recipe.pts_ms)
    if clip.recipe.is_truncated:
        assert 20 < len(clip.frames) < len(numbers)
        numbers, pts_ms = numbers[: len(clip.frames)], pts_ms[: len(clip.frames)]
    assert [number_of(frame.rgb) for frame in clip.frames] == numbers
    assert [frame.frame_index for frame in clip.frames] == list(range(len(numbers)))
    assert [frame.pts_ns for frame in clip.frames] == [ms * NS_PER_MS for ms in pts_ms]


@pytest.mark.parametrize("name", CLIPS)
def test_every_frame_has_its_number_after_a_seek(
    clip_of: Callable[[str], NumberedClip], always_seek: None, name: str
) -> None:
    clip = clip_of(name)
    for frame in clip.frames:
        wanted = FrameTime(frame.frame_index, clip.recipe.pts_ms[frame.frame_index] * NS_PER_MS)
        with clip.path.open("rb") as file:
            (sought,) = read_frames_at_times(file, [wanted])
        assert number_of(sought.rgb) == clip.recipe.numbers[frame.frame_index]


@pytest.mark.parametrize("name", CLIPS)
def test_ffmpeg_shows_the_same_frames(clip_of: Callable[[str], NumberedClip], name: str) -> None:
    clip = clip_of(name)
    stream_index, frames, truncated_at = decoded_hashes(clip.path)
    ffmpegs = ffmpeg_hashes(clip.path, stream_index)
    if clip.recipe.is_truncated:
        assert truncated_at == len(frames)
        ffmpegs = ffmpegs[:truncated_at]
    assert [frame.md5 for frame in frames] == [frame.md5 for frame in ffmpegs]
    stop = clip.recipe.restarts_at
    assert [frame.pts_ns for frame in frames[:stop]] == [frame.pts_ns for frame in ffmpegs[:stop]]
