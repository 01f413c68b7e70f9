"""What a tracker sees of one shot, frame by frame, to masklets without pixels."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from pvtt_flow.core import ids, rle
from pvtt_flow.models.tracker import TrackedFrame, TrackedObject
from pvtt_flow.types import FrameFlag, Masklet, MaskletFrame, Prompt, Shot, Video


@dataclass(slots=True)
class Track:
    """What tracking one shot has given so far."""

    prompts: Sequence[Prompt]
    times: dict[int, int] = field(default_factory=dict)
    """pts_ns of every processed frame by its frame_index, in order."""
    _seen: dict[tuple[int, int], MaskletFrame] = field(default_factory=dict)
    """By object id and frame_index, where the tracker looked."""
    _prompted: set[tuple[int, int]] = field(init=False)
    """Object id and frame_index of every prompt."""
    _num_tracked: int = 0
    _sum_of_inverse_utilization: float = 0.0

    def __post_init__(self) -> None:
        self._prompted = {(p.object_id, p.frame_index) for p in self.prompts}

    def add(self, tracked: TrackedFrame) -> None:
        """Keep what is seen on a frame; going back, frames come again with other objects."""
        self.times.setdefault(tracked.frame_index, tracked.pts_ns)
        self._num_tracked += 1
        self._sum_of_inverse_utilization += 1 / tracked.slot_utilization
        for found in tracked.objects:
            place = found.object_id, tracked.frame_index
            self._seen[place] = self._frame(found.object_id, tracked.frame_index, found)

    @property
    def slot_utilization(self) -> float:
        """Share of the tracker's slots that a step advances, averaged over its steps.

        A step that uses more slots processes more frames: this is the harmonic mean over frames.
        """
        return self._num_tracked / self._sum_of_inverse_utilization if self._num_tracked else 0.0

    def masklets(self, video_id: str, video: Video, shot: Shot) -> tuple[Masklet, ...]:
        """One for each prompted object, by id."""
        return tuple(
            Masklet(
                masklet_id=ids.masklet_id(shot.shot_id, object_id),
                shot_id=shot.shot_id,
                video_id=video_id,
                object_id=object_id,
                label=prompts[0].label,
                shot_index=shot.index,
                start_frame=shot.start_frame,
                stop_frame=shot.stop_frame,
                start_ns=shot.start_ns,
                stop_ns=shot.stop_ns,
                width_px=video.width_px,
                height_px=video.height_px,
                prompts=prompts,
                frames=self._frames(object_id),
            )
            for object_id in sorted({p.object_id for p in self.prompts})
            for prompts in [tuple(p for p in self.prompts if p.object_id == object_id)]
        )

    def _frames(self, object_id: int) -> tuple[MaskletFrame, ...]:
        """One for every processed frame."""
        return tuple(
            self._seen.get((object_id, frame_index)) or self._frame(object_id, frame_index, None)
            for frame_index in self.times
        )

    def _frame(self, object_id: int, frame_index: int, found: TrackedObject | None) -> MaskletFrame:
        asked: tuple[FrameFlag, ...] = ()
        if (object_id, frame_index) in self._prompted:
            asked = ("prompted",)
        absent = MaskletFrame(
            frame_index=frame_index,
            pts_ns=self.times[frame_index],
            rle=None,
            box_xyxy=None,
            area_px=0,
            object_score=None if found is None else found.object_score,
            predicted_iou=None if found is None else found.predicted_iou,
            fragments=0,
            flags=(*asked, "absent"),
        )
        box_xyxy = None if found is None else rle.box_of(found.mask)
        if found is None or box_xyxy is None:
            return absent
        border: tuple[FrameFlag, ...] = (
            ("border",) if rle.touches_border(box_xyxy, *found.mask.shape) else ()
        )
        return replace(
            absent,
            rle=rle.encode(found.mask),
            box_xyxy=box_xyxy,
            area_px=int(np.count_nonzero(found.mask)),
            fragments=rle.num_fragments(found.mask, box_xyxy),
            flags=asked + border,
        )
