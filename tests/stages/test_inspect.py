from pathlib import Path

import pytest
from media.clip_maker import write_clip
from stages.bad_videos import BAD_VIDEOS
from stages.works import FAILED, work_of

from pvtt_flow.media.limits import DEFAULT_LIMITS, Limits
from pvtt_flow.stages.inspect import Inspect


def test_a_video_becomes_one_shot(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "mug.mp4", 10, rotation_deg=90)
    (work,) = Inspect(DEFAULT_LIMITS)([work_of(path)])
    assert work.failure is None
    assert work.video is not None
    assert (work.video.width_px, work.video.height_px, work.video.rotation_deg) == (96, 64, 90)
    assert (work.video.codec, work.video.num_frames_from_header) == ("h264", 10)
    assert work.shot is not None
    assert work.shot.shot_id == "mug/s0000@0"
    assert (work.shot.start_frame, work.shot.stop_frame, work.num_shots) == (0, None, 1)
    assert work.timings.inspect_s > 0


@pytest.mark.parametrize("name", BAD_VIDEOS)
def test_a_bad_video_is_a_row_with_its_reason(tmp_path: Path, name: str) -> None:
    bad, path = BAD_VIDEOS[name], tmp_path / name
    bad.make(path)
    (work,) = Inspect(DEFAULT_LIMITS)([work_of(path)])
    assert work.failure is not None
    assert (work.failure.stage, work.failure.kind) == ("inspect", bad.kind)
    assert bad.message in work.failure.message
    assert work.failure.traceback is None, "bad data is no bug"


def test_a_video_over_the_limits_is_a_row(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "long.mp4", 10)
    (work,) = Inspect(Limits(max_frames=9))([work_of(path)])
    assert work.failure is not None
    assert work.failure.kind == "over_limit"
    assert "at most 9 frames (max_frames), got 10" in work.failure.message


def test_one_bad_video_does_not_touch_the_others(tmp_path: Path) -> None:
    good = [work_of(write_clip(tmp_path / f"{i}.mp4", 3)) for i in range(2)]
    first, missing, failed, last = Inspect(DEFAULT_LIMITS)(
        [good[0], work_of(tmp_path / "missing.mp4"), FAILED, good[1]]
    )
    assert (first.source.video_id, last.source.video_id) == ("0", "1")
    assert first.failure is None
    assert last.failure is None
    assert missing.failure is not None
    assert missing.failure.kind == "unreadable"
    assert failed is FAILED
