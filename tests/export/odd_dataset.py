"""Dataset of awkward videos: odd sizes, turned, uneven times; masks with holes, pieces, gaps."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pvtt_flow.core import ids, rle
from pvtt_flow.dataset.dataset import Dataset
from pvtt_flow.storage.listing import stat_all
from pvtt_flow.types import Frame, Masklet, MaskletFrame
from tests.dataset.dataset_rows import masklet, measurements, video_record
from tests.video.clip_maker import read, write_clip

NUM_FRAMES = 10
# Width and height of each video as it is shown.
SIZES = {"odd": (95, 63), "turned": (96, 64), "nothing": (64, 48)}
UNEVEN_MS = (0, 40, 80, 200, 240, 280, 440, 480, 520, 560)
LABELS = ("mug", "茶壶")
ABSENT = {0: (3, 4), 1: (0,)}


@dataclass(frozen=True)
class OddDataset:
    """Location of the dataset and its videos."""

    uri: str
    videos: Path

    def frames(self, video: str) -> dict[str, list[Any]]:
        """Index, time and hash of each frame of the source, as they travel with every export."""
        frames = read(self.videos / f"{video}.mp4")
        return {
            "frame_index": [frame.frame_index for frame in frames],
            "pts_ns": [frame.pts_ns for frame in frames],
            "rgb_blake2b": [
                blake2b(frame.rgb.tobytes(), digest_size=8).hexdigest() for frame in frames
            ],
        }


def _hash(frame: Frame) -> str:
    return blake2b(frame.rgb.tobytes(), digest_size=8).hexdigest()


def mask_of(video: str, object_id: int, position: int) -> NDArray[np.bool_]:
    """A ring for object 0; two pieces, of which one overlaps the ring, for object 1."""
    width_px, height_px = SIZES[video]
    mask = np.zeros((height_px, width_px), np.bool_)
    if position in ABSENT[object_id]:
        return mask
    left = 20 + position
    if object_id == 0:
        mask[20:44, left : left + 24] = True
        mask[28:36, left + 8 : left + 16] = False
    else:
        mask[24:30, left - 6 : left + 6] = True
        mask[50:57, left : left + 9] = True
    return mask


def masks_of(video: str, object_id: int) -> NDArray[np.bool_]:
    """Return the masks of an object, bool (T, H, W)."""
    return np.array([mask_of(video, object_id, position) for position in range(NUM_FRAMES)])


def make_odd_dataset(folder: Path) -> OddDataset:
    """Two videos with two products each, and one without."""
    videos = folder / "videos"
    videos.mkdir()
    write_clip(videos / "odd.mp4", NUM_FRAMES, size_px=SIZES["odd"], pixel_format="yuv444p")
    write_clip(videos / "turned.mp4", NUM_FRAMES, rotation_deg=90, pts_ms=UNEVEN_MS)
    write_clip(videos / "nothing.mp4", NUM_FRAMES, size_px=SIZES["nothing"])
    dataset = Dataset(str(folder / "dataset"))
    dataset.ensure()
    for name, (width_px, height_px) in SIZES.items():
        path = videos / f"{name}.mp4"
        found = name != "nothing"
        rows = [_masklet(name, object_id, read(path)) for object_id in (0, 1)] if found else []
        (info,) = stat_all([str(path)])
        facts: dict[str, Any] = {
            "uri": str(path),
            "etag": info.etag,
            "size_bytes": info.size_bytes,
            "width_px": width_px,
            "height_px": height_px,
            "status": "ok" if found else "empty",
            "attributes": {"sku": f"sku-{name}", "license": "CC0"},
        }
        video = video_record(name, num_masklets=len(rows), **facts)
        dataset.commit(dataset.write_masklets(rows), [video], run_id="r1")
    return OddDataset(dataset.uri, videos)


def _masklet(video: str, object_id: int, frames: Sequence[Frame]) -> Masklet:
    shot_id = ids.shot_id(video, 0, 0)
    width_px, height_px = SIZES[video]
    assert frames[0].rgb.shape == (height_px, width_px, 3)
    return masklet(
        video,
        object_id,
        masklet_id=ids.masklet_id(shot_id, object_id),
        label=LABELS[object_id],
        width_px=width_px,
        height_px=height_px,
        frames=tuple(
            frame_of(mask_of(video, object_id, position), frame.frame_index, frame.pts_ns)
            for position, frame in enumerate(frames)
        ),
        qc=measurements(0.8, num_frames=NUM_FRAMES),
    )


def frame_of(mask: NDArray[np.bool_], frame_index: int, pts_ns: int) -> MaskletFrame:
    """Return the row of a mask of one piece or none."""
    there = bool(mask.any())
    return MaskletFrame(
        frame_index=frame_index,
        pts_ns=pts_ns,
        rle=rle.encode(mask) if there else None,
        box_xyxy=rle.box_of(mask),
        area_px=int(mask.sum()),
        object_score=5.0 if there else -5.0,
        predicted_iou=0.9,
        fragments=int(there),
    )
