import cv2
import numpy as np
import pytest

from pvtt_flow import open_dataset
from pvtt_flow.core.timeline import FrameTime
from pvtt_flow.report.strips import NUM_FRAMES, chosen_times, make_strip
from pvtt_flow.types import Masklet, Prompt, Repair, VideoRecord
from tests.dataset.dataset_rows import masklet, video_record
from tests.pipeline.runs import sample
from tests.readers.sample_dataset import Processed, processed


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Processed:
    return processed(tmp_path_factory.mktemp("strips"))


def record_and_masklets(made: Processed, name: str) -> tuple[VideoRecord, list[Masklet]]:
    opened = open_dataset(made.uri)
    (record,) = opened.find_videos(name)[:1]
    return record, opened.masklets_of(name)


def test_a_strip_has_frames_from_the_first_to_the_last(made: Processed) -> None:
    strip = make_strip(*record_and_masklets(made, "a"))
    assert len(strip.pictures) == NUM_FRAMES
    assert strip.note == ""
    assert strip.pictures[0].caption.startswith("frame 0, 0.00 s. 0 product 0: predicted IoU 0.90")
    assert strip.pictures[-1].caption.startswith("frame 38, ")
    for picture in strip.pictures:
        rgb = cv2.imdecode(np.frombuffer(picture.jpeg, np.uint8), cv2.IMREAD_COLOR)
        assert rgb is not None
        assert rgb.shape[:2] == (picture.height_px, picture.width_px)


def test_prompts_and_repairs_are_told(made: Processed) -> None:
    record, _ = record_and_masklets(made, "b")
    prompt = Prompt(object_id=0, frame_index=2, box_xyxy=(1, 2, 3, 4), score=0.5, margin=0.25)
    repair = Repair(
        start_frame=4,
        stop_frame=8,
        prompt_frame=5,
        box_xyxy=(1, 2, 3, 4),
        cycle_iou=0.75,
        gain=0.25,
        kept=True,
    )
    strip = make_strip(record, [masklet("b", prompts=(prompt,), repairs=(repair,))])
    told, repaired = strip.prompts
    assert told.startswith("0 mug: prompted on frame 2 by the detector, score 0.50, margin 0.25 to")
    assert repaired == f"0 mug: tracked again, {repair}"
    assert str(repair) == "frames 4 to 7 from a box on frame 5: kept, cycle IoU 0.75, gain +0.25"


def test_the_prompted_frame_is_among_those_that_are_shown() -> None:
    prompt = Prompt(object_id=0, frame_index=33, box_xyxy=(1, 2, 3, 4))
    times = chosen_times([masklet("a", num_frames=101, prompts=(prompt,))])
    assert len(times) == NUM_FRAMES
    assert [time.frame_index for time in times] == [0, 20, 33, 60, 80, 100]
    assert times[0] == FrameTime(0, 0)


def test_a_video_without_a_product_shows_its_frames() -> None:
    path = sample("no_product.mp4")
    record = video_record(
        "e",
        uri=str(path),
        etag="blake2b:0",
        size_bytes=path.stat().st_size,
        status="empty",
        num_masklets=0,
        width_px=480,
        height_px=270,
        duration_ns=3_000_000_000,
        fps_num=24,
    )
    strip = make_strip(record, [])
    assert 3 <= len(strip.pictures) <= NUM_FRAMES
    assert strip.pictures[0].caption.startswith("frame 0, ")
    assert "No product was found" in strip.note


def test_a_source_that_has_gone_says_so(made: Processed) -> None:
    _, masklets = record_and_masklets(made, "a")
    strip = make_strip(video_record("a", uri="/nowhere/a.mp4"), masklets)
    assert strip.pictures == ()
    assert "/nowhere/a.mp4" in strip.note


def test_a_source_that_has_changed_says_so(made: Processed) -> None:
    record, masklets = record_and_masklets(made, "a")
    other = video_record("a", uri=record.uri, size_bytes=1)
    strip = make_strip(other, masklets)
    assert strip.pictures == ()
    assert "must be the video that was processed (1 bytes" in strip.note


def test_masks_of_another_size_are_not_drawn(made: Processed) -> None:
    record, _ = record_and_masklets(made, "a")
    other = masklet("a", width_px=10, height_px=10, frames=())
    strip = make_strip(record, [other])
    assert strip.pictures == ()
    assert "must have the size of the masks, 10 x 10" in strip.note


def test_a_failed_video_has_its_reason_and_is_not_opened() -> None:
    record = video_record(
        "f",
        uri="/nowhere",
        width_px=None,
        status="failed",
        failure_stage="inspect",
        failure_kind="not_a_video",
        failure_message="no",
        num_masklets=0,
    )
    assert make_strip(record, []).note == "not_a_video in inspect: no"
