"""A dataset of real videos whose pictures say which frame they are, and where the masks are."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pvtt_flow.core import ids, rle
from pvtt_flow.dataset.dataset import Dataset
from pvtt_flow.storage.listing import stat_all
from pvtt_flow.types import Frame, Masklet, MaskletFrame
from tests.dataset.dataset_rows import masklet, measurements, video_record
from tests.video.clip_maker import HEIGHT_PX, WIDTH_PX, read, write_clip

if TYPE_CHECKING:
    from tests.conftest import S3Server

NUM_FRAMES, STRIDE = 40, 2
# Where an object is not to be seen.
ABSENT = 6


@dataclass(frozen=True)
class Processed:
    """Locations of a processed dataset and its videos."""

    uri: str
    videos: Path
    """Local copies."""


def processed(folder: Path, s3: "S3Server | None" = None, *, public: bool = False) -> Processed:
    """Videos `a` (two products) and `b` (one, rejected), every second frame of each.

    Dataset and videos are in the folder or, with a server, in a bucket; with `public`, only the
    videos are in a bucket, which everyone may read.
    """
    bucket = s3.bucket("public" if public else "bucket") if s3 else ""
    root = str(folder) if public else bucket or str(folder)
    dataset = Dataset(f"{root}/dataset")
    dataset.ensure()
    videos = folder / "videos"
    videos.mkdir()
    for name, num_objects, presence in (("a", 2, 0.9), ("b", 1, 0.1)):
        path = write_clip(videos / f"{name}.mp4", NUM_FRAMES, options={"g": "10", "bf": "2"})
        uri = s3.put(path, f"{bucket}/videos/{path.name}") if s3 else str(path)
        frames = read(path)[::STRIDE]
        rows = [_masklet(name, object_id, frames, presence) for object_id in range(num_objects)]
        (found,) = stat_all([uri])
        facts = {"uri": uri, "etag": found.etag, "size_bytes": found.size_bytes}
        video = video_record(name, num_masklets=num_objects, **facts)
        dataset.commit(dataset.write_masklets(rows), [video], run_id="r1")
    return Processed(dataset.uri, videos)


def box_of(object_id: int, frame_index: int) -> tuple[int, int, int, int]:
    """A box that moves a pixel a frame."""
    left, top = frame_index, 10 + 20 * object_id
    return left, top, left + 12, top + 8


def largest_of(object_id: int, frame_index: int) -> tuple[int, int, int, int]:
    """The box without its last three columns for object 1, of which the first is empty."""
    left, top, right, bottom = box_of(object_id, frame_index)
    return left, top, right - 3 * object_id, bottom


def mask_of(object_id: int, frame_index: int) -> NDArray[np.bool_]:
    """The whole box, or two pieces of it for object 1."""
    mask = np.zeros((HEIGHT_PX, WIDTH_PX), np.bool_)
    if frame_index != ABSENT:
        left, top, right, bottom = box_of(object_id, frame_index)
        mask[top:bottom, left:right] = True
        mask[top:bottom, largest_of(object_id, frame_index)[2] : right - 2 * object_id] = False
    return mask


def _masklet(name: str, object_id: int, frames: list[Frame], presence: float) -> Masklet:
    shot_id = ids.shot_id(name, 0, 0)
    return masklet(
        name,
        object_id,
        masklet_id=ids.masklet_id(shot_id, object_id),
        label=f"product {object_id}",
        width_px=WIDTH_PX,
        height_px=HEIGHT_PX,
        frames=tuple(_frame(object_id, frame) for frame in frames),
        qc=measurements(presence, num_frames=len(frames)),
        verdict="accept" if presence > 0.5 else "reject",
    )


def _frame(object_id: int, frame: Frame) -> MaskletFrame:
    mask = mask_of(object_id, frame.frame_index)
    there = bool(mask.any())
    return MaskletFrame(
        frame_index=frame.frame_index,
        pts_ns=frame.pts_ns,
        rle=rle.encode(mask) if there else None,
        box_xyxy=box_of(object_id, frame.frame_index) if there else None,
        largest_fragment_box_xyxy=largest_of(object_id, frame.frame_index) if there else None,
        area_px=int(np.count_nonzero(mask)),
        object_score=5.0 if there else -5.0,
        predicted_iou=0.9,
        fragments=(1 + object_id) * there,
    )
