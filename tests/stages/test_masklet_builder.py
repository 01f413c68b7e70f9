"""Merge of forward and backward results into one masklet."""

from typing import Literal

import numpy as np
import pytest

from pvtt_flow.core import rle
from pvtt_flow.models.tracker import TrackedFrame, TrackedObject
from pvtt_flow.stages._masklet_builder import MaskletBuilder
from pvtt_flow.types import MaskConfidence, Shot, Video
from tests.stages.fakes import box_prompt

BOX = (2, 1, 5, 3)
VIDEO = Video(
    container="mp4",
    codec="h264",
    pixel_format="yuv420p",
    width_px=8,
    height_px=6,
    coded_width_px=8,
    coded_height_px=6,
    rotation_deg=0,
    fps_num=25,
    fps_den=1,
    duration_ns=None,
    num_frames_from_header=None,
)
SHOT = Shot(
    shot_id="v/s", index=1, start_frame=0, stop_frame=6, start_ns=100, stop_ns=160,
    times_ns=tuple(range(100, 160, 10)),
)  # fmt: skip


def seen(object_id: int, score: float = 4.0) -> TrackedObject:
    mask = np.zeros((6, 8), np.bool_)
    mask[1:3, 2:5] = True
    return TrackedObject(object_id, mask, object_score=score, predicted_iou=None)


def tracked(
    frame_index: int, *objects: TrackedObject, slot_utilization: float = 1.0
) -> TrackedFrame:
    return TrackedFrame(frame_index, 100 + 10 * frame_index, objects, slot_utilization)


def test_both_passes_become_frames_in_order() -> None:
    builder = MaskletBuilder((box_prompt(1, BOX, 4), box_prompt(0, BOX, 0)))
    for frame in (
        tracked(0, seen(0)),
        tracked(2, seen(0)),
        tracked(4, seen(0), seen(1, 9.0)),
        tracked(2, seen(1, 2.0)),
        tracked(0, seen(1, 1.0)),
    ):
        builder.add(frame)
    first, second = builder.masklets("v", VIDEO, SHOT)
    assert (first.object_id, second.object_id) == (0, 1)
    for masklet in (first, second):
        assert [(f.frame_index, f.pts_ns) for f in masklet.frames] == [(0, 100), (2, 120), (4, 140)]
        assert (masklet.start_frame, masklet.stop_frame) == (0, 6)
        assert (masklet.start_ns, masklet.stop_ns, masklet.shot_index) == (100, 160, 1)
    assert [f.object_score for f in second.frames] == [1.0, 2.0, 9.0]
    assert [f.flags for f in second.frames] == [(), (), ("prompted",)]


def test_an_object_is_absent_on_frames_that_were_not_tracked() -> None:
    builder = MaskletBuilder((box_prompt(1, BOX, 2),))
    for frame in (tracked(0), tracked(2, seen(1))):
        builder.add(frame)
    (masklet,) = builder.masklets("v", VIDEO, SHOT)
    absent, present = masklet.frames
    assert (absent.rle, absent.object_score, absent.flags) == (None, None, ("absent",))
    assert (absent.box_xyxy, absent.largest_fragment_box_xyxy) == (None, None)
    assert (present.box_xyxy, present.area_px, present.flags) == (BOX, 6, ("prompted",))


@pytest.mark.parametrize("order", ["C", "F"])
def test_masks_may_be_in_either_order_in_memory(order: Literal["C", "F"]) -> None:
    found = seen(0)
    mask = np.asarray(found.mask, order=order)
    builder = MaskletBuilder((box_prompt(0, BOX),))
    builder.add(tracked(0, TrackedObject(0, mask, object_score=1.0, predicted_iou=0.5)))
    (masklet,) = builder.masklets("v", VIDEO, SHOT)
    (frame,) = masklet.frames
    assert frame.rle is not None
    assert (rle.decode(frame.rle, 6, 8) == found.mask).all()
    assert (frame.box_xyxy, frame.area_px, frame.fragments) == (BOX, 6, 1)
    assert frame.largest_fragment_box_xyxy == BOX


def test_specks_enlarge_only_the_box_of_the_whole_mask() -> None:
    mask = seen(0).mask.copy()
    mask[5, 0] = mask[5, 7] = True
    builder = MaskletBuilder((box_prompt(0, BOX),))
    confidence = MaskConfidence(stability_score=0.75)
    builder.add(tracked(0, TrackedObject(0, mask, 1.0, 0.5, confidence)))
    builder.add(tracked(2, seen(0)))
    (masklet,) = builder.masklets("v", VIDEO, SHOT)
    frame, later = masklet.frames
    assert (frame.box_xyxy, frame.fragments, frame.area_px) == ((0, 1, 8, 6), 3, 8)
    assert frame.largest_fragment_box_xyxy == BOX
    assert (frame.holes, frame.previous_iou, later.previous_iou) == (0, None, 6 / 8)
    assert frame.compactness is not None
    assert later.compactness is not None
    assert frame.compactness < later.compactness
    assert (frame.confidence, later.confidence) == (confidence, None)


def test_slot_utilization_is_averaged_over_steps() -> None:
    builder = MaskletBuilder((box_prompt(0, BOX),))
    assert builder.slot_utilization == 0.0
    # A step that uses few slots has few frames and counts as much as one that uses many.
    for busy in (0.25, 1.0, 1.0):
        builder.add(tracked(0, slot_utilization=busy))
    assert builder.slot_utilization == pytest.approx(3 / (4 + 1 + 1))
