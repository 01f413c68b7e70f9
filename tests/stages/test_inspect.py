from dataclasses import replace
from pathlib import Path

import pytest

from pvtt_flow.core.shots import ShotParams
from pvtt_flow.stages.inspect import Inspect
from pvtt_flow.types import ShotRecord
from pvtt_flow.video.limits import DEFAULT_LIMITS, Limits
from tests.stages.bad_videos import BAD_VIDEOS
from tests.stages.fakes import FAILED, WHOLE, box_prompt, record_of
from tests.video.clip_maker import encode_images, moving_image, write_clip

FRAME_NS = 40_000_000
BOX = (20, 10, 26, 20)
# A scene of `moving_picture` is 13 frames, half a second.
SCENES = ShotParams(min_length_s=0.2)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three scenes of 13 frames."""
    path = tmp_path_factory.mktemp("scenes") / "mug.mp4"
    return encode_images(path, [moving_image(i) for i in range(39)])


def inspect(
    record: ShotRecord, params: ShotParams = SCENES, limits: Limits = DEFAULT_LIMITS
) -> list[ShotRecord]:
    return Inspect(params, limits)([record])


def intervals(records: list[ShotRecord]) -> list[tuple[int, int]]:
    return [(w.shot.start_frame, w.shot.stop_frame) for w in records if w.shot is not None]


def broken(path: Path, folder: Path) -> Path:
    whole = path.read_bytes()
    cut = folder / "cut.mp4"
    cut.write_bytes(whole[:-1500])
    return cut


def test_a_video_without_cuts_is_one_shot(tmp_path: Path) -> None:
    pictures = [moving_image(i) for i in range(10)]
    path = encode_images(tmp_path / "mug.mp4", pictures, rotation_deg=90)
    (record,) = inspect(record_of(path))
    assert record.failure is None
    assert record.video is not None
    assert (record.video.width_px, record.video.height_px, record.video.rotation_deg) == (
        96,
        64,
        90,
    )
    assert (record.video.codec, record.video.num_frames_from_header) == ("h264", 10)
    assert record.shot is not None
    assert record.shot.shot_id == "mug/s0000@0"
    assert (record.shot.start_frame, record.shot.stop_frame, record.num_shots) == (0, 10, 1)
    assert record.timings.inspect_s > 0


def test_every_scene_is_a_shot(scenes: Path) -> None:
    records = inspect(record_of(scenes))
    assert intervals(records) == [(0, 13), (13, 26), (26, 39)]
    assert [w.num_shots for w in records] == [3, 3, 3]
    for index, record in enumerate(records):
        assert record.shot is not None
        assert record.shot.shot_id == f"mug/s{index:04d}@{13 * index}"
        assert record.shot.start_ns == 13 * index * FRAME_NS
        assert record.shot.stop_ns == 13 * (index + 1) * FRAME_NS
        assert record.shot.times_ns[-1] == record.shot.stop_ns - FRAME_NS


def test_cuts_may_be_left_alone(scenes: Path) -> None:
    assert intervals(inspect(record_of(scenes), WHOLE)) == [(0, 39)]
    assert intervals(inspect(record_of(scenes), ShotParams(min_length_s=2.0))) == [(0, 39)]


def test_the_manifests_shots_come_first(scenes: Path) -> None:
    record = record_of(scenes)
    asked = replace(record, source=replace(record.source, shots=((0, 5), (20, 39))))
    assert intervals(inspect(asked)) == [(0, 5), (20, 39)]
    too_long = replace(record, source=replace(record.source, shots=((0, 40),)))
    (failed,) = inspect(too_long)
    assert failed.failure is not None
    assert failed.failure.kind == "bad_shot"
    assert "which has 39 frames, got [0, 40]" in failed.failure.message


def test_a_video_that_breaks_ends_in_its_last_shot(scenes: Path, tmp_path: Path) -> None:
    records = inspect(record_of(broken(scenes, tmp_path)))
    assert intervals(records)[0] == (0, 13)
    assert 13 < intervals(records)[-1][1] < 39
    assert [w.flags for w in records] == [*[()] * (len(records) - 1), ("truncated",)]


@pytest.mark.parametrize(("frame", "kind"), [(38, "undecodable"), (12, "bad_prompt")])
def test_prompts_on_no_frame_of_a_shot(scenes: Path, tmp_path: Path, frame: int, kind: str) -> None:
    record = record_of(broken(scenes, tmp_path), box_prompt(0, BOX, frame))
    asked = replace(record, source=replace(record.source, shots=((0, 5), (20, 39))))
    (failed,) = inspect(asked)
    assert failed.failure is not None
    assert (failed.failure.stage, failed.failure.kind) == ("inspect", kind)


def test_prompts_past_the_end_are_refused_before_anything_is_tracked(scenes: Path) -> None:
    (failed,) = inspect(record_of(scenes, box_prompt(0, BOX, 38), box_prompt(0, BOX, 39)))
    assert failed.failure is not None
    assert failed.failure.kind == "bad_prompt"
    assert "got frames [39], which are past the end (the video has 39" in failed.failure.message


@pytest.mark.parametrize("name", BAD_VIDEOS)
def test_a_bad_video_is_a_row_with_its_reason(tmp_path: Path, name: str) -> None:
    bad, path = BAD_VIDEOS[name], tmp_path / name
    bad.make(path)
    (record,) = inspect(record_of(path))
    assert record.failure is not None
    assert (record.failure.stage, record.failure.kind) == ("inspect", bad.kind)
    assert bad.message in record.failure.message
    assert record.failure.traceback is None, "bad data is no bug"


def test_a_video_over_the_limits_is_a_row(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "long.mp4", 10)
    (record,) = inspect(record_of(path), limits=Limits(max_frames=9))
    assert record.failure is not None
    assert record.failure.kind == "over_limit"
    assert "at most 9 frames (max_frames), got 10" in record.failure.message


def test_one_bad_video_does_not_touch_the_others(tmp_path: Path) -> None:
    good = [record_of(write_clip(tmp_path / f"{i}.mp4", 3)) for i in range(2)]
    first, missing, failed, last = Inspect(WHOLE, DEFAULT_LIMITS)(
        [good[0], record_of(tmp_path / "missing.mp4"), FAILED, good[1]]
    )
    assert (first.source.video_id, last.source.video_id) == ("0", "1")
    assert first.failure is None
    assert last.failure is None
    assert missing.failure is not None
    assert missing.failure.kind == "unreadable"
    assert failed is FAILED
