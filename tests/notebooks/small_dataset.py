"""A dataset made by the real stages, but for the models: a hand-made square takes their place."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np

from pvtt_flow.core import ids, rle
from pvtt_flow.core.qc import QcThresholds
from pvtt_flow.core.shots import ShotParams
from pvtt_flow.dataset.dataset import Dataset
from pvtt_flow.pipeline.assemble import VideoAssembler
from pvtt_flow.stages.inspect import Inspect
from pvtt_flow.stages.judge import Judge
from pvtt_flow.stages.write import Write
from pvtt_flow.storage.params import InputParams
from pvtt_flow.storage.sources import list_sources
from pvtt_flow.types import Lineage, Masklet, MaskletFrame, Prompt, ShotRecord
from pvtt_flow.video.limits import Limits

NUM_FRAMES = 12
_SIDE_PX = 40
_ABSENT_ON = 7
_LINEAGE = Lineage(
    run_id="r", config_hash="c", detector_hash="d", tracker_hash="t", code_version="0"
)


def make_dataset(folder: Path, video: Path) -> str:
    """The uri of a dataset in the folder: this video with two masklets, and a failed one."""
    videos = folder / "videos"
    videos.mkdir()
    shutil.copy(video, videos)
    (videos / "empty.mp4").touch()
    sources = list_sources(InputParams(uri=str(videos)))
    records = Inspect(ShotParams(), Limits())([ShotRecord(source=source) for source in sources])
    judged = Judge(QcThresholds(), _LINEAGE.tracker_hash)([tracked(record) for record in records])
    dataset = Dataset(str(folder / "dataset"))
    dataset.ensure()
    assembler = VideoAssembler(_LINEAGE, max_attempts=3)
    for shot_result in Write(dataset, _LINEAGE)(judged):
        done = assembler.add(shot_result, finished_at_ns=1)
        assert done is not None
        record, files = done
        dataset.commit(files, [record], run_id=_LINEAGE.run_id)
    return dataset.uri


def tracked(record: ShotRecord) -> ShotRecord:
    """The row as a tracker would leave it; a failed one as it is."""
    if record.failure is not None:
        return record
    masklets = tuple(walking_square(record, object_id) for object_id in (0, 1))
    return replace(record, masklets=masklets, num_frames=NUM_FRAMES)


def walking_square(record: ShotRecord, object_id: int) -> Masklet:
    """A square that walks to the right, and is absent once."""
    assert record.video is not None
    assert record.shot is not None
    size_px = (record.video.width_px, record.video.height_px)
    frames = tuple(square(index, object_id, *size_px) for index in range(NUM_FRAMES))
    box_xyxy = tuple(float(side) for side in frames[0].box_xyxy or ())
    return Masklet(
        masklet_id=ids.masklet_id(record.shot.shot_id, object_id),
        shot_id=record.shot.shot_id,
        video_id=record.source.video_id,
        object_id=object_id,
        label="product",
        shot_index=0,
        start_frame=0,
        stop_frame=NUM_FRAMES,
        start_ns=0,
        stop_ns=frames[-1].pts_ns,
        width_px=size_px[0],
        height_px=size_px[1],
        prompts=(Prompt(object_id=object_id, frame_index=0, box_xyxy=box_xyxy),),
        frames=frames,
    )


def square(frame_index: int, object_id: int, width_px: int, height_px: int) -> MaskletFrame:
    """Return the box on a frame; each object has its own row of the picture."""
    mask = np.zeros((height_px, width_px), bool)
    if frame_index != _ABSENT_ON:
        left_px, top_px = 5 + 3 * frame_index, 5 + (_SIDE_PX + 5) * object_id
        mask[top_px : top_px + _SIDE_PX, left_px : left_px + _SIDE_PX] = True
    present = bool(mask.any())
    return MaskletFrame(
        frame_index=frame_index,
        pts_ns=frame_index * 40_000_000,
        rle=rle.encode(mask) if present else None,
        box_xyxy=rle.box_of(mask),
        area_px=int(mask.sum()),
        object_score=5.0 if present else -5.0,
        # Between the threshold that judged it and the stricter one that the notebook tries.
        predicted_iou=0.8,
        fragments=int(present),
    )
