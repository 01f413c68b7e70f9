from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import pytest

from pvtt_flow.core.shots import shots_of
from pvtt_flow.core.timeline import EVERY_FRAME, SamplingParams
from pvtt_flow.errors import DataError
from pvtt_flow.stages._shot_frames import ShotFrames, make_prompted_shot
from pvtt_flow.video.limits import DEFAULT_LIMITS
from tests.stages.fakes import box_prompt, inspected
from tests.video.clip_maker import encode_images, moving_image, number_of, write_clip
from tests.video.counters import count_decoded_frames

NUM_FRAMES = 12


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clip") / "mug.mp4", NUM_FRAMES)


def shot_of(path: Path, sampling: SamplingParams = EVERY_FRAME) -> ShotFrames:
    record = inspected(path)
    assert record.video is not None
    assert record.shot is not None
    return ShotFrames(str(path), record.video, record.shot, sampling, DEFAULT_LIMITS)


def is_open(path: Path) -> bool:
    return str(path) in {file.path for file in psutil.Process().open_files()}


@pytest.mark.parametrize(
    ("sampling", "start", "stop", "frames"),
    [
        (EVERY_FRAME, 0, None, range(12)),
        (EVERY_FRAME, 4, 7, [4, 5, 6]),
        (SamplingParams(stride=3), 0, None, [0, 3, 6, 9]),
        (SamplingParams(stride=3), 1, 3, [3, 6]),
        (SamplingParams(target_fps=12.5), 2, 4, [4, 6]),
    ],
)
def test_positions_count_sampled_frames(
    path: Path, sampling: SamplingParams, start: int, stop: int | None, frames: list[int]
) -> None:
    read = shot_of(path, sampling).read(start, stop)
    assert [frame.frame_index for frame in read] == list(frames)


def test_every_read_opens_and_closes_its_own_file(path: Path) -> None:
    shot = shot_of(path)
    first, second = shot.read(0, None), shot.read(2, 4)
    assert [next(first).frame_index, next(second).frame_index] == [0, 2]
    assert [next(first).frame_index, next(second).frame_index] == [1, 3]
    assert is_open(path)
    assert list(second) == []
    first.close()
    assert not is_open(path)


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """240 frames, a keyframe every 24."""
    pictures = [moving_image(i) for i in range(240)]
    path = tmp_path_factory.mktemp("long") / "long.mp4"
    options = {"preset": "veryfast", "g": "24", "sc_threshold": "0"}
    return encode_images(path, pictures, options=options)


@pytest.mark.parametrize(
    "sampling", [EVERY_FRAME, SamplingParams(stride=3), SamplingParams(target_fps=10.0)]
)
def test_going_back_gives_the_same_frames(long: Path, sampling: SamplingParams) -> None:
    shot = shot_of(long, sampling)
    frames = list(shot.read(0, None))
    for start in range(len(frames) - 16, -1, -16):
        found = list(shot.read(start, start + 16))
        assert len(found) == 16
        for one, other in zip(found, frames[start:], strict=False):
            assert (one.frame_index, one.pts_ns) == (other.frame_index, other.pts_ns)
            assert np.array_equal(one.rgb, other.rgb)


def test_going_back_does_not_start_over_each_time(
    long: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shot = shot_of(long)
    assert len(list(shot.read(0, None))) == 240
    num_decoded = count_decoded_frames(monkeypatch)
    for start in range(216, -1, -24):
        assert [f.frame_index for f in shot.read(start, start + 24)] == [*range(start, start + 24)]
        # A chunk that begins with a keyframe is reached from the one before it.
        assert num_decoded() <= 1 + 24 + 24 + 1


def test_a_late_shot_is_reached_by_seeking(long: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = inspected(long)
    assert record.video is not None
    assert record.shot is not None
    times_ns = record.shot.times_ns
    (late,) = shots_of("long", [(200, 240)], times_ns, record.shot.stop_ns)
    shot = ShotFrames(str(long), record.video, late, SamplingParams(stride=4), DEFAULT_LIMITS)
    num_decoded = count_decoded_frames(monkeypatch)
    frames = list(shot.read(0, 3))
    assert [f.frame_index for f in frames] == [200, 204, 208]
    assert [number_of(f.rgb) for f in frames] == [200, 204, 208]
    assert num_decoded() <= 1 + 24 + 9, "the first frame, and the group that it begins in"
    clip = make_prompted_shot(shot, [box_prompt(0, (20, 10, 26, 20), 212)])
    assert clip.prompt_frames[3].frame_index == 212


def test_threads_may_read_at_once(long: Path) -> None:
    shot = shot_of(long)

    def numbers(start: int) -> list[int]:
        return [number_of(frame.rgb) for frame in shot.read(start, start + 40)]

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(numbers, [0, 40, 80, 120, 160, 200, 0, 160]))
    assert found == [[*range(k, k + 40)] for k in (0, 40, 80, 120, 160, 200, 0, 160)]


def test_a_video_that_is_replaced_is_noticed(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", 48)
    shot = shot_of(path)
    assert len(list(shot.read(0, None))) == 48
    write_clip(path, 48, pts_ms=[35 * i for i in range(48)])
    with pytest.raises(DataError, match="frame 30 is at 1200000000 ns") as caught:
        list(shot.read(30, 40))
    assert caught.value.kind == "source_changed"


def test_prompts_are_placed_by_position(path: Path) -> None:
    shot = shot_of(path, SamplingParams(stride=3))
    box = (20, 10, 26, 20)
    late, early, other = box_prompt(0, box, 9), box_prompt(0, box, 3), box_prompt(1, box, 9)
    clip = make_prompted_shot(shot, (late, early, other))
    assert clip.prompts == {1: [early], 3: [late, other]}
    assert {k: frame.frame_index for k, frame in clip.prompt_frames.items()} == {1: 3, 3: 9}
    assert not is_open(path)


def test_a_prompt_that_sampling_skips_is_refused(path: Path) -> None:
    with pytest.raises(DataError, match=r"got frames \[4\]: .* skipped by the sampling"):
        make_prompted_shot(
            shot_of(path, SamplingParams(stride=3)), (box_prompt(0, (20, 10, 26, 20), 4),)
        )
