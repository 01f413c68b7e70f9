"""Small rows of the dataset for these tests."""

from typing import Any

import numpy as np

from pvtt_flow.core import ids, rle
from pvtt_flow.core.mask_shape import with_previous_iou, with_shape
from pvtt_flow.types import Masklet, MaskletFrame, Measurements, Prompt, VideoRecord

WIDTH_PX, HEIGHT_PX = 64, 48


def masklet(video_id: str, object_id: int = 0, *, num_frames: int = 3, **changes: Any) -> Masklet:
    shot_id = ids.shot_id(video_id, 0, 0)
    frames = with_previous_iou(map(_frame, range(num_frames)), HEIGHT_PX, WIDTH_PX)
    values: dict[str, Any] = {
        "masklet_id": ids.masklet_id(shot_id, object_id),
        "shot_id": shot_id,
        "video_id": video_id,
        "object_id": object_id,
        "label": "mug",
        "shot_index": 0,
        "start_frame": 0,
        "stop_frame": num_frames,
        "start_ns": 0,
        "stop_ns": num_frames * 40_000_000,
        "width_px": WIDTH_PX,
        "height_px": HEIGHT_PX,
        "prompts": (Prompt(object_id=object_id, frame_index=0, box_xyxy=(1.0, 2.0, 3.0, 4.0)),),
        "frames": frames,
        "qc": measurements(presence=0.5),
        "verdict": "accept",
        "work_key": "k1",
        "run_id": "r1",
    }
    return Masklet(**(values | changes))


def _frame(index: int) -> MaskletFrame:
    """Return a frame with a rectangle two pixels wide; the object is absent from the second."""
    is_absent = index == 1
    mask = np.zeros((HEIGHT_PX, WIDTH_PX), np.bool_)
    mask[2 : min(4 + index, HEIGHT_PX), 1:3] = True
    frame = MaskletFrame(
        frame_index=index,
        pts_ns=index * 40_000_000,
        rle=None if is_absent else rle.encode(mask),
        box_xyxy=None if is_absent else rle.box_of(mask),
        area_px=0 if is_absent else int(mask.sum()),
        object_score=-1.0 if is_absent else 5.0,
        predicted_iou=0.9,
        fragments=0,
        flags=("absent",) if is_absent else (),
    )
    return with_shape(frame, HEIGHT_PX)


def measurements(presence: float, num_frames: int = 3) -> Measurements:
    return Measurements(
        num_frames=num_frames,
        presence=presence,
        visibility_flips=2,
        area_median=0.1,
        area_jump_max=None,
        box_jump_max=None,
        object_score_p05=5.0,
        predicted_iou_mean=0.9,
        predicted_iou_p05=0.9,
        border_contact=0.0,
        fragments_mean=1.0,
        prompt_iou=None,
    )


def video_record(video_id: str, **changes: Any) -> VideoRecord:
    values: dict[str, Any] = {
        "video_id": video_id,
        "uri": f"/videos/{video_id}.mp4",
        "etag": "e1",
        "size_bytes": 1000,
        "container": "mov,mp4",
        "codec": "h264",
        "pixel_format": "yuv420p",
        "width_px": 64,
        "height_px": 48,
        "coded_width_px": 64,
        "coded_height_px": 48,
        "rotation_deg": 0,
        "fps_num": 25,
        "fps_den": 1,
        "duration_ns": 120_000_000,
        "num_frames": 3,
        "num_shots": 1,
        "num_masklets": 1,
        "flags": (),
        "inspect_s": 0.1,
        "detect_s": 0.1,
        "propagate_s": 0.1,
        "status": "ok",
        "failure_stage": None,
        "failure_kind": None,
        "failure_message": None,
        "failure_traceback": None,
        "attempts": 0,
        "input_uri": "/videos",
        "gone_at_ns": None,
        "work_key": "k1",
        "run_id": "r1",
        "config_hash": "c",
        "detector_hash": "d",
        "tracker_hash": "t",
        "code_version": "0",
        "finished_at_ns": 1,
    }
    return VideoRecord(**(values | changes))
