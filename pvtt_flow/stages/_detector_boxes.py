"""Boxes of the detector as masks: the baseline that has no tracker."""

from collections.abc import Iterator, Sequence

import numpy as np

from pvtt_flow.core import boxes
from pvtt_flow.core.prompts import box_of
from pvtt_flow.core.timeline import FrameTime
from pvtt_flow.models.tracker import TrackedFrame, TrackedObject
from pvtt_flow.types import Prompt, Sighting, Video

# Least IoU of a prompt's box and a product's on the same frame, for them to be the same.
_MIN_IOU = 0.5
# Logit of a mask that is taken as it is.
_SEEN = 10.0


def detector_boxes(
    times: Sequence[FrameTime],
    prompts: Sequence[Prompt],
    searched: Sequence[int],
    sightings: Sequence[Sighting],
    video: Video,
) -> Iterator[TrackedFrame]:
    """Yield the box of each prompted object on each frame, as a mask.

    An object is the product whose box overlaps its first prompt most. It is where it was seen on
    the latest frame that was searched, and absent if it was not seen there.
    """
    box_of = {(s.frame_index, s.track): s.box_xyxy for s in sightings}
    tracks = {
        object_id: _track_of(first, sightings, video)
        for object_id, first in _first_prompts(prompts).items()
    }
    known, latest = set(searched), times[0].frame_index
    for time in times:
        latest = time.frame_index if time.frame_index in known else latest
        shown = {
            object_id: box_of.get((latest, track))
            for object_id, track in tracks.items()
            if track is not None
        }
        objects = tuple(_object(object_id, shown.get(object_id), video) for object_id in tracks)
        yield TrackedFrame(time.frame_index, time.pts_ns, objects)


def _first_prompts(prompts: Sequence[Prompt]) -> dict[int, Prompt]:
    first: dict[int, Prompt] = {}
    for prompt in sorted(prompts, key=lambda prompt: prompt.frame_index):
        first.setdefault(prompt.object_id, prompt)
    return first


def _track_of(prompt: Prompt, sightings: Sequence[Sighting], video: Video) -> int | None:
    """Return the track of the product that a prompt shows; None if none was seen there."""
    box = box_of(prompt, video.width_px, video.height_px)
    seen = [s for s in sightings if s.frame_index == prompt.frame_index]
    if box is None or not seen:
        return None
    others = np.array([s.box_xyxy for s in seen], np.float64)
    overlap = boxes.iou(np.array([box], np.float64), others)[0]
    best = int(overlap.argmax())
    return seen[best].track if overlap[best] >= _MIN_IOU else None


def _object(object_id: int, box_xyxy: tuple[float, ...] | None, video: Video) -> TrackedObject:
    mask = np.zeros((video.height_px, video.width_px), np.bool_)
    if box_xyxy is not None:
        x0, y0, x1, y1 = (round(v) for v in box_xyxy)
        mask[y0:y1, x0:x1] = True
    return TrackedObject(object_id, mask, _SEEN if mask.any() else -_SEEN, None)
