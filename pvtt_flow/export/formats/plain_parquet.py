"""Plain Parquet: a row for each object and frame, without a log.

    frames-00000000.parquet

DuckDB, pandas, Polars and Spark read it as it is, since it is one version and never changes. Gone
videos are left out.
"""

from collections.abc import Sequence as List
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pvtt_flow.export.formats.format import Format, Part
from pvtt_flow.export.sequence import Sequence
from pvtt_flow.storage.uris import redact_uri
from pvtt_flow.types import MaskConfidence, Masklet

_ROW_GROUP_ROWS = 1 << 14
_SCHEMA = pa.schema(
    [
        ("sequence", pa.string()),
        ("split", pa.string()),
        ("video_id", pa.string()),
        ("shot_id", pa.string()),
        ("masklet_id", pa.string()),
        ("uri", pa.string()),
        ("attributes", pa.map_(pa.string(), pa.string())),
        ("object_id", pa.int64()),
        ("label", pa.string()),
        ("verdict", pa.string()),
        ("width_px", pa.int64()),
        ("height_px", pa.int64()),
        ("position", pa.int64()),
        ("frame_index", pa.int64()),
        ("pts_ns", pa.int64()),
        ("present", pa.bool_()),
        ("rle", pa.string()),
        ("x0", pa.int64()),
        ("y0", pa.int64()),
        ("x1", pa.int64()),
        ("y1", pa.int64()),
        ("largest_fragment_box_xyxy", pa.list_(pa.int64())),
        ("area_px", pa.int64()),
        ("object_score", pa.float64()),
        ("predicted_iou", pa.float64()),
        ("fragments", pa.int64()),
        ("holes", pa.int64()),
        ("compactness", pa.float64()),
        ("previous_iou", pa.float64()),
        ("mask_entropy", pa.float64()),
        ("stability_score", pa.float64()),
        ("soft_dice", pa.float64()),
        ("candidate_iou", pa.float64()),
    ]
)


class PlainParquet(Format):
    """Table of frames."""

    name = "parquet"
    summary = "plain Parquet: a row for each object and frame, for DuckDB, pandas, Polars, Spark"
    sequences_per_unit = 64

    def write(self, sequence: Sequence, folder: Path) -> Part:
        """Write the rows of a sequence."""
        with pq.ParquetWriter(folder / "rows.parquet", _SCHEMA, compression="zstd") as writer:
            for masklet in sequence.masklets:
                writer.write_table(_rows(sequence, masklet))
        return {}

    def pack(self, folders: List[Path], folder: Path, unit: str) -> List[Path]:
        """Put the rows of all sequences into one file."""
        path = folder / f"frames-{unit}.parquet"
        with pq.ParquetWriter(path, _SCHEMA, compression="zstd", write_page_checksum=True) as file:
            for one in folders:
                rows = pq.read_table(one / "rows.parquet", schema=_SCHEMA)
                file.write_table(rows, row_group_size=_ROW_GROUP_ROWS)
        return [folder]


def _rows(sequence: Sequence, masklet: Masklet) -> pa.Table:
    video = sequence.video
    facts: dict[str, Any] = {
        "sequence": sequence.name,
        "split": sequence.split,
        "video_id": video.video_id,
        "shot_id": sequence.shot_id,
        "masklet_id": masklet.masklet_id,
        "uri": redact_uri(video.uri),
        "attributes": list((video.attributes or {}).items()),
        "object_id": masklet.object_id,
        "label": masklet.label,
        "verdict": masklet.verdict,
        "width_px": masklet.width_px,
        "height_px": masklet.height_px,
    }
    rows = [
        facts
        | {
            "position": position,
            "frame_index": frame.frame_index,
            "pts_ns": frame.pts_ns,
            "present": frame.rle is not None,
            "rle": frame.rle,
            **dict(zip(("x0", "y0", "x1", "y1"), frame.box_xyxy or (None,) * 4, strict=True)),
            "largest_fragment_box_xyxy": frame.largest_fragment_box_xyxy,
            "area_px": frame.area_px,
            "object_score": frame.object_score,
            "predicted_iou": frame.predicted_iou,
            "fragments": frame.fragments,
            "holes": frame.holes,
            "compactness": frame.compactness,
            "previous_iou": frame.previous_iou,
            **asdict(frame.confidence or MaskConfidence()),
        }
        for position, frame in enumerate(masklet.frames)
    ]
    return pa.Table.from_pylist(rows, schema=_SCHEMA)
