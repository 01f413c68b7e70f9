"""Build the masklets of a shot from the frames that a tracker returns."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from pvtt_flow.core import ids
from pvtt_flow.core.mask_shape import with_mask, with_previous_iou
from pvtt_flow.dataset.tables import MAX_TEXT_BYTES
from pvtt_flow.errors import DataError
from pvtt_flow.models.tracker import TrackedFrame, TrackedObject
from pvtt_flow.types import FrameFlag, Masklet, MaskletFrame, Prompt, Shot, Video


@dataclass(slots=True)
class MaskletBuilder:
    """Collects the tracked frames of one shot; masks are stored as RLE at once."""

    prompts: Sequence[Prompt]
    times: dict[int, int] = field(default_factory=dict)
    """`pts_ns` of every processed frame by its `frame_index`, in order."""
    frames: dict[tuple[int, int], MaskletFrame] = field(default_factory=dict)
    """By object id and `frame_index`, where the object was tracked, in order of tracking."""
    num_tracked: int = 0
    sum_of_inverse_utilization: float = 0.0
    _prompted: set[tuple[int, int]] = field(init=False)
    """Object id and `frame_index` of every prompt."""
    _text_bytes: Counter[int] = field(default_factory=Counter)
    """Length of an object's masks as RLE."""

    def __post_init__(self) -> None:
        self._prompted = {(p.object_id, p.frame_index) for p in self.prompts}

    def add(self, tracked: TrackedFrame) -> None:
        """Add a tracked frame; in the backward pass, frames come again with other objects.

        Raises DataError of kind `over_limit` if the masks of an object do not fit into a row.
        """
        self.times.setdefault(tracked.frame_index, tracked.pts_ns)
        self.num_tracked += 1
        self.sum_of_inverse_utilization += 1 / tracked.slot_utilization
        for tracked_object in tracked.objects:
            object_id = tracked_object.object_id
            frame = self._make_frame(object_id, tracked.frame_index, tracked_object)
            self.add_frame(object_id, frame)

    def add_frame(self, object_id: int, frame: MaskletFrame) -> None:
        """Add a frame of an object, as `add` does; its time is known."""
        self.frames[object_id, frame.frame_index] = frame
        self._text_bytes[object_id] += len(frame.rle or "")
        if self._text_bytes[object_id] > MAX_TEXT_BYTES:
            raise DataError(
                "over_limit",
                f"the masks of an object in a shot must have at most {MAX_TEXT_BYTES} bytes of "
                f"RLE, got more after {len(self.times)} frames; set shots.max_length_s to "
                "split the shot",
            )

    @property
    def slot_utilization(self) -> float:
        """Share of the tracker's slots that a step advances, averaged over its steps.

        A step that uses more slots processes more frames: this is the harmonic mean over frames.
        """
        return self.num_tracked / self.sum_of_inverse_utilization if self.num_tracked else 0.0

    def masklets(self, video_id: str, video: Video, shot: Shot) -> tuple[Masklet, ...]:
        """Return one masklet for each prompted object, by object id."""
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
                frames=with_previous_iou(
                    self._frames_of(object_id), video.height_px, video.width_px
                ),
            )
            for object_id in sorted({p.object_id for p in self.prompts})
            for prompts in [tuple(p for p in self.prompts if p.object_id == object_id)]
        )

    def _frames_of(self, object_id: int) -> tuple[MaskletFrame, ...]:
        """Return one frame for every processed frame."""
        return tuple(
            self.frames.get((object_id, frame_index))
            or self._make_frame(object_id, frame_index, None)
            for frame_index in self.times
        )

    def _make_frame(
        self, object_id: int, frame_index: int, tracked: TrackedObject | None
    ) -> MaskletFrame:
        prompted: tuple[FrameFlag, ...] = (
            ("prompted",) if (object_id, frame_index) in self._prompted else ()
        )
        absent = MaskletFrame(
            frame_index=frame_index,
            pts_ns=self.times[frame_index],
            rle=None,
            box_xyxy=None,
            area_px=0,
            object_score=None if tracked is None else tracked.object_score,
            predicted_iou=None if tracked is None else tracked.predicted_iou,
            confidence=None if tracked is None else tracked.confidence,
            fragments=0,
            flags=(*prompted, "absent"),
        )
        return absent if tracked is None else with_mask(absent, tracked.mask)
