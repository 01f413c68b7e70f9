"""Receipts of shots as `write` sends them."""

from dataclasses import replace

from pvtt_flow.dataset.tables import MaskletFile
from pvtt_flow.stages.write import ShotResult
from pvtt_flow.types import Failure, Lineage, Source, Timings, Video

LINEAGE = Lineage(
    run_id="run", config_hash="c", detector_hash="d", tracker_hash="t", code_version="1"
)
VIDEO = Video(
    container="mov,mp4",
    codec="h264",
    pixel_format="yuv420p",
    width_px=64,
    height_px=96,
    coded_width_px=96,
    coded_height_px=64,
    rotation_deg=90,
    fps_num=25,
    fps_den=1,
    duration_ns=10**9,
    num_frames_from_header=25,
)
FAILURE = Failure(stage="propagate", kind="bad_prompt", message="it does not fit", traceback="tb")


def file(name: str) -> MaskletFile:
    return MaskletFile(
        path=name, size_bytes=1, num_rows=1, bucket=0, video_ids=("mug",), stats_json="{}"
    )


SHOT = ShotResult(
    source=Source(video_id="mug", uri="/mug.mp4", etag="e", size_bytes=9, work_key="key"),
    video=VIDEO,
    num_shots=1,
    num_frames=10,
    verdicts=("accept", "review"),
    files=(file("one"),),
    flags=(),
    failure=None,
    timings=Timings(inspect_s=1, detect_s=2, propagate_s=3, slot_utilization=0.5),
)
FAILED_SHOT = replace(SHOT, verdicts=(), files=(), failure=FAILURE)
