"""Chunks of a Rerun recording: clip, masks, boxes and scores on common timelines.

    /clip                  AssetVideo, AnnotationContext; for each frame a VideoFrameReference,
                           its index in the source and the hash of its RGB bytes
    /clip/o000             Boxes2D of an object; its id, label and verdict
    /clip/o000/mask        SegmentationImage; an object's class is its place in the sequence, from 1
    /scores/object_score/o000, /scores/predicted_iou/o000
                           Scalars
    /__properties/source   video, shot, split, and columns of the manifest

Timeline `frame` counts the processed frames from 0, `pts` is their time in the source. On frames
without the object its box and mask are empty, which clears them.
"""

import json
from collections.abc import Iterator
from collections.abc import Sequence as List
from typing import Any

import numpy as np
import rerun as rr
from rerun.chunk import Chunk

from pvtt_flow.core.timeline import FrameTime
from pvtt_flow.export.sequence import Sequence
from pvtt_flow.types import Masklet, MaskletFrame

_SOURCE = ("video_id", "shot_id", "uri", "etag", "content_hash", "split")
_SCORES = ("object_score", "predicted_iou")
# Without a color that is transparent, the viewer draws the background over the picture.
_BACKGROUND = rr.AnnotationInfo(id=0, label="background", color=(0, 0, 0, 0))


def chunks_of(sequence: Sequence, clip: bytes | None) -> Iterator[Chunk]:
    """Make the chunks of a recording; `clip` is an MP4 file, without which there are no pictures.

    Each mask is a chunk, so that memory stays that of one.
    """
    yield from _properties(sequence)
    yield from _clip(sequence, clip)
    for number, masklet in enumerate(sequence.masklets, start=1):
        yield from _object(sequence, masklet, number)


def _properties(sequence: Sequence) -> Iterator[Chunk]:
    facts = sequence.facts()
    source: dict[str, Any] = {name: facts[name] for name in _SOURCE if facts[name] is not None}
    attributes = json.dumps(facts["attributes"], ensure_ascii=False)
    yield Chunk.from_property("source", rr.AnyValues(**source, attributes=attributes))
    yield _static("/__properties", rr.archetypes.RecordingInfo(name=sequence.name))


def _clip(sequence: Sequence, clip: bytes | None) -> Iterator[Chunk]:
    labels = [masklet.label for masklet in sequence.masklets]
    objects = [rr.AnnotationInfo(id=n, label=label) for n, label in enumerate(labels, start=1)]
    yield _static("/clip", rr.AnnotationContext([_BACKGROUND, *objects]))
    indexes = _indexes(sequence.times, range(len(sequence.times)))
    facts: dict[str, Any] = sequence.frame_facts()
    del facts["pts_ns"]
    if clip is None:
        # Without pictures there are no hashes.
        del facts["rgb_blake2b"]
    yield Chunk.from_columns("/clip", indexes, rr.AnyValues.columns(**facts))
    if clip is None:
        return
    video = rr.AssetVideo(contents=clip, media_type="video/mp4")
    yield _static("/clip", video)
    # As Rerun's own demuxer finds them, so frame i of the clip is shown at frame i.
    references = rr.VideoFrameReference.columns_nanos(video.read_frame_timestamps_nanos())
    yield Chunk.from_columns("/clip", indexes, references)


def _object(sequence: Sequence, masklet: Masklet, number: int) -> Iterator[Chunk]:
    name = f"o{masklet.object_id:03d}"
    facts = rr.AnyValues(
        masklet_id=masklet.masklet_id, label=masklet.label, verdict=masklet.verdict
    )
    yield _static(f"/clip/{name}", facts)
    everywhere = range(len(sequence.times))
    boxes = _boxes(masklet.frames, number)
    yield Chunk.from_columns(f"/clip/{name}", _indexes(sequence.times, everywhere), boxes)
    for position in everywhere:
        mask = _mask(sequence, masklet, position, number)
        indexes = _indexes(sequence.times, [position])
        yield Chunk.from_columns(f"/clip/{name}/mask", indexes, mask)
    for score in _SCORES:
        values = [getattr(frame, score) for frame in masklet.frames]
        known = [position for position in everywhere if values[position] is not None]
        yield _static(f"/scores/{score}/{name}", rr.SeriesLines(names=masklet.label))
        yield Chunk.from_columns(
            f"/scores/{score}/{name}",
            _indexes(sequence.times, known),
            rr.Scalars.columns(scalars=[values[position] for position in known]),
        )


def _boxes(frames: List[MaskletFrame], number: int) -> rr.ComponentColumnList:
    found = [frame.box_xyxy for frame in frames if frame.box_xyxy is not None]
    corners = np.array(found, np.float32).reshape(-1, 2, 2)
    columns = rr.Boxes2D.columns(
        centers=corners.mean(axis=1),
        half_sizes=(corners[:, 1] - corners[:, 0]) / 2,
        class_ids=[number] * len(found),
    )
    return columns.partition([int(frame.box_xyxy is not None) for frame in frames])


def _mask(
    sequence: Sequence, masklet: Masklet, position: int, number: int
) -> rr.ComponentColumnList:
    """Return the row of a mask: `number` on the object; 0 elsewhere."""
    if masklet.frames[position].rle is None:
        return rr.SegmentationImage.columns(buffer=[], format=[]).partition([0])
    # A class beyond 255 takes two bytes a pixel.
    mask = sequence.mask(masklet, position).astype(np.min_scalar_type(number)) * number
    height_px, width_px = mask.shape
    layout = rr.components.ImageFormat(
        width=width_px,
        height=height_px,
        channel_datatype=rr.ChannelDatatype.from_np_dtype(mask.dtype),
    )
    return rr.SegmentationImage.columns(buffer=[mask.tobytes()], format=[layout])


def _indexes(times: List[FrameTime], positions: List[int]) -> list[rr.TimeColumn]:
    pts = np.array([times[position].pts_ns for position in positions], "timedelta64[ns]")
    return [rr.TimeColumn("frame", sequence=positions), rr.TimeColumn("pts", duration=pts)]


def _static(entity: str, values: rr.AsComponents) -> Chunk:
    """Return values that hold for the whole recording."""
    batches = values.as_component_batches()
    columns = [batch.partition([len(batch.as_arrow_array())]) for batch in batches]
    return Chunk.from_columns(entity, [], columns)
