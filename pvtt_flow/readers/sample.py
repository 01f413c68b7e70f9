"""Conversion of a clip to tensors."""

import os
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from numpy.typing import NDArray
from torchvision import tv_tensors

from pvtt_flow.core import rle
from pvtt_flow.core.timeline import FrameTime
from pvtt_flow.dataset.tables import read_file
from pvtt_flow.types import Frame

Sample: TypeAlias = dict[str, Any]
_COLUMNS = ("label", "object_id", "width_px", "height_px", "frames")
_LARGEST_BOX = "largest_fragment_box_xyxy"
_NO_BOX = (0, 0, 0, 0)


class MaskletRow:
    """Frames of a masklet in the dataset; `location` is its row of the `ClipIndex`."""

    def __init__(self, root: str, location: Mapping[str, Any]) -> None:
        group = _row_group(os.getpid(), root, location["path"], location["row_group"])
        row = group.slice(location["row"], 1)
        self._location = location
        self._frames = pc.list_flatten(row["frames"]).combine_chunks()
        self._facts = row.select(_COLUMNS[:-1]).to_pylist()[0]

    def times(self, positions: Sequence[int]) -> list[FrameTime]:
        """Return index and time of the frames at these positions."""
        rows = self._at(positions)
        columns = (rows.field(name).to_pylist() for name in ("frame_index", "pts_ns"))
        return list(map(FrameTime, *columns))

    def sample(self, positions: Sequence[int], frames: Sequence[Frame]) -> Sample:
        """Return the sample of these positions and their decoded frames; see module `clips`."""
        rows = self._at(positions)
        boxes = rows.field("box_xyxy").to_pylist()
        size = self._facts["height_px"], self._facts["width_px"]
        rgb = torch.from_numpy(np.stack([frame.rgb for frame in frames]))
        return {
            "frames": tv_tensors.Video(rgb.permute(0, 3, 1, 2)),
            "masks": tv_tensors.Mask(_masks(rows.field("rle").to_pylist(), *size)),
            "boxes_xyxy": _boxes(boxes, size),
            _LARGEST_BOX: _boxes(self._largest_fragments(rows), size),
            "present": torch.tensor([box is not None for box in boxes]),
            "frame_index": torch.tensor(rows.field("frame_index").to_pylist()),
            "pts_ns": torch.tensor(rows.field("pts_ns").to_pylist()),
            "video_id": self._location["video_id"],
            "masklet_id": self._location["masklet_id"],
            "label": self._facts["label"],
        }

    def _at(self, positions: Sequence[int]) -> pa.StructArray:
        return self._frames.take(pa.array(positions, pa.int64()))

    def _largest_fragments(self, rows: pa.StructArray) -> Sequence[Sequence[int] | None]:
        """Return the boxes of the largest fragments; those of the masks in older rows."""
        whole: list[list[int] | None] = rows.field("box_xyxy").to_pylist()
        if rows.type.get_field_index(_LARGEST_BOX) < 0:
            return whole
        return [
            largest or box
            for largest, box in zip(rows.field(_LARGEST_BOX).to_pylist(), whole, strict=True)
        ]


def _boxes(
    boxes_xyxy: Sequence[Sequence[int] | None], size: tuple[int, int]
) -> tv_tensors.BoundingBoxes:
    """Return boxes as float32 (T, 4); None is a box of zeros."""
    rows = torch.tensor([box or _NO_BOX for box in boxes_xyxy], dtype=torch.float32)
    return tv_tensors.BoundingBoxes(rows.reshape(-1, 4), format="XYXY", canvas_size=size)


def _masks(counts: Sequence[str | None], height_px: int, width_px: int) -> torch.Tensor:
    """Decode RLE counts to bool (T, H, W); None is an empty mask."""
    masks: NDArray[np.bool_] = np.zeros((len(counts), height_px, width_px), np.bool_)
    for mask, rle_counts in zip(masks, counts, strict=True):
        if rle_counts is not None:
            mask[:] = rle.decode(rle_counts, height_px, width_px)
    return torch.from_numpy(masks)


@lru_cache(maxsize=4)
def _row_group(pid: int, root: str, path: str, number: int) -> pa.Table:
    """Read a row group, which adjacent masklets share; cached by process, since file systems do not
    survive a fork.
    """
    del pid
    return read_file(root, path, _COLUMNS, row_group=number)
