"""Rows of `masklets` by the million, made up: their masks compress like real ones."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pvtt_flow.dataset.arrow import schema_of
from pvtt_flow.types import Masklet, Measurements

A_VIDEO = 2
"""Masklets of each video."""
_NUM_FRAMES, _RLE_CHARS = 24, 200


def rows_of(videos: Sequence[str]) -> pa.Table:
    """Masklets of some videos, without an object for each."""
    chance = np.random.default_rng(len(videos))
    ids = np.repeat(np.array(videos, object), A_VIDEO)
    objects = np.tile(np.arange(A_VIDEO), len(videos))
    shots = [f"{video}/s0000@0" for video in ids]
    known: dict[str, object] = {
        "video_id": ids,
        "shot_id": shots,
        "masklet_id": [f"{shot}/o{i:03d}" for shot, i in zip(shots, objects, strict=True)],
        "object_id": objects,
        "verdict": chance.choice(["accept", "review", "reject"], len(ids)),
        "good_probability": chance.random(len(ids)),
        "gone_probability": chance.random(len(ids)),
        "frames": _frames(chance, len(ids)),
        "qc": _measurements(chance, len(ids)),
        "stop_frame": np.full(len(ids), _NUM_FRAMES),
        "width_px": np.full(len(ids), 1920),
        "height_px": np.full(len(ids), 1080),
    }
    columns = [_column(f, known.get(f.name), len(ids)) for f in schema_of(Masklet)]
    return pa.Table.from_arrays(columns, schema=schema_of(Masklet))


def _column(named: pa.Field, values: object, num_rows: int) -> pa.Array:
    if isinstance(values, pa.Array):
        return values
    if values is not None:
        return pa.array(values, named.type)
    empty: Any = (
        [] if pa.types.is_list(named.type) else "0" * 16 if named.type == pa.string() else 0
    )
    return pa.array([empty] * num_rows, named.type)


def _frames(chance: np.random.Generator, num_rows: int) -> pa.Array:
    kind = schema_of(Masklet).field("frames").type
    n = num_rows * _NUM_FRAMES
    lengths = chance.integers(_RLE_CHARS // 2, _RLE_CHARS * 3 // 2, n)
    ends = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    # Four bits of news in a character of eight: real counts compress to half as well.
    chars = chance.integers(48, 64, int(ends[-1]), np.uint8)
    rle = pa.StringArray.from_buffers(n, pa.py_buffer(ends), pa.py_buffer(chars))
    index = np.tile(np.arange(_NUM_FRAMES), num_rows)
    edges = pa.array(np.arange(0, 4 * n + 1, 4, dtype=np.int32))
    boxes = pa.ListArray.from_arrays(edges, pa.array(chance.integers(0, 1920, 4 * n)))
    known = {
        "frame_index": pa.array(index),
        "pts_ns": pa.array(index * 40_000_000),
        "rle": rle,
        "box_xyxy": boxes,
        "largest_fragment_box_xyxy": boxes,
        "area_px": pa.array(chance.integers(0, 10**6, n)),
        "object_score": pa.array(chance.normal(5, 1, n)),
        "predicted_iou": pa.array(chance.random(n)),
        "fragments": pa.array(np.ones(n, np.int64)),
        "flags": pa.array([[]] * n, pa.list_(pa.string())),
    }
    inner = kind.value_type
    columns = [known[f.name].cast(f.type) if f.name in known else _unknown(f, n) for f in inner]
    structs = pa.StructArray.from_arrays(columns, fields=list(inner))
    starts = pa.array(np.arange(0, n + 1, _NUM_FRAMES, dtype=np.int32))
    return pa.ListArray.from_arrays(starts, structs).cast(kind)


def _unknown(named: pa.Field, num_rows: int) -> pa.Array:
    return (
        pa.nulls(num_rows, named.type) if named.nullable else pa.array([0] * num_rows, named.type)
    )


def _measurements(chance: np.random.Generator, num_rows: int) -> pa.Array:
    schema = schema_of(Measurements)
    columns = [
        pa.array(chance.random(num_rows) if f.type == pa.float64() else _counts(f, num_rows))
        for f in schema
    ]
    return pa.StructArray.from_arrays(columns, fields=list(schema))


def _counts(named: pa.Field, num_rows: int) -> NDArray[np.int64]:
    return np.full(num_rows, _NUM_FRAMES if named.name == "num_frames" else 0)
