"""Prompted shots to masklets: decode where the model is, track, encode the masks there."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import BinaryIO

from pvtt_flow.core import ids, rle
from pvtt_flow.core.timeline import SamplingParams
from pvtt_flow.data import Frame, FrameFlag, Masklet, MaskletFrame, Prompt, Shot, Video, Work
from pvtt_flow.errors import DataError
from pvtt_flow.media.decode import DecodeBreakError, read_frames
from pvtt_flow.media.limits import Limits
from pvtt_flow.models.tracker import TrackedFrame, TrackedObject, Tracker
from pvtt_flow.stages.guard import guarded
from pvtt_flow.storage.reading import open_binary

# Each of them is held while its shot is tracked.
MAX_PROMPTED_FRAMES = 32


class Propagate:
    """One shot in, the same shot with one masklet per prompted object out."""

    def __init__(self, tracker: Tracker, sampling: SamplingParams, limits: Limits) -> None:
        self._tracker = tracker
        self._sampling = sampling
        self._limits = limits

    def __call__(self, works: Sequence[Work]) -> list[Work]:
        """The same shots, tracked; a shot without prompts passes by."""
        return [done for work in works for done in guarded("propagate", self._propagate, work)]

    def _propagate(self, work: Work) -> Sequence[Work]:
        if not work.prompts or work.shot is None or work.video is None:
            return [work]
        started = time.perf_counter()
        prompts, prompt_frames = self._place_prompts(work, work.shot)
        track = _Track(prompts=work.prompts)
        with open_binary(work.source.uri) as file:
            sound = _SoundPart(self._frames(work, work.shot, file))
            for tracked in self._tracker.track(sound, prompts, prompt_frames):
                track.add(tracked)
        if not track.times:
            raise sound.broken or DataError("undecodable", "the shot has no frames")
        shot = _timed(work.shot, work.video, track.times)
        return [
            replace(
                work,
                shot=shot,
                masklets=_masklets(work, shot, work.video, track),
                num_frames=len(track.times),
                flags=("truncated",) if sound.broken else (),
                timings=replace(work.timings, propagate_s=time.perf_counter() - started),
            )
        ]

    def _frames(self, work: Work, shot: Shot, file: BinaryIO) -> Iterator[Frame]:
        return read_frames(
            file,
            video=work.video,
            sampling=self._sampling,
            limits=self._limits,
            start_frame=shot.start_frame,
            stop_frame=shot.stop_frame,
        )

    def _place_prompts(
        self, work: Work, shot: Shot
    ) -> tuple[dict[int, list[Prompt]], dict[int, Frame]]:
        """Prompts and their decoded frames, by position among the frames that are processed."""
        waiting = {p.frame_index for p in work.prompts}
        if len(waiting) > MAX_PROMPTED_FRAMES:
            raise DataError(
                "bad_prompt",
                f"prompts must be on at most {MAX_PROMPTED_FRAMES} frames of a shot, "
                f"got {len(waiting)}; give fewer, or split the video",
            )
        prompts: dict[int, list[Prompt]] = {}
        frames: dict[int, Frame] = {}
        with open_binary(work.source.uri) as file:
            for position, frame in enumerate(self._frames(work, shot, file)):
                if frame.frame_index in waiting:
                    waiting.discard(frame.frame_index)
                    frames[position] = frame
                    prompts[position] = [
                        p for p in work.prompts if p.frame_index == frame.frame_index
                    ]
                if not waiting:
                    return prompts, frames
        raise DataError(
            "bad_prompt",
            f"prompts must be on frames that are processed, got frames {sorted(waiting)}: "
            f"they are past the end or skipped by the sampling",
        )


class _SoundPart:
    """A stream up to where decoding breaks; the break is kept, not raised.

    The tracker reads ahead, so an exception would cost the frames that it holds already.
    """

    def __init__(self, frames: Iterator[Frame]) -> None:
        self._frames = frames
        self.broken: DecodeBreakError | None = None

    def __iter__(self) -> Iterator[Frame]:
        try:
            yield from self._frames
        except DecodeBreakError as error:
            self.broken = error


@dataclass(slots=True)
class _Track:
    """What tracking one shot has given so far, without pixels."""

    prompts: tuple[Prompt, ...]
    times: list[tuple[int, int]] = field(default_factory=list)
    """(frame_index, pts_ns) of every processed frame."""
    frames: dict[int, list[MaskletFrame]] = field(default_factory=dict)
    """By object id, one for every processed frame."""

    def add(self, tracked: TrackedFrame) -> None:
        self.times.append((tracked.frame_index, tracked.pts_ns))
        found = {o.object_id: o for o in tracked.objects}
        prompted = {p.object_id for p in self.prompts if p.frame_index == tracked.frame_index}
        for object_id in sorted({p.object_id for p in self.prompts}):
            frame = _masklet_frame(tracked, found.get(object_id), prompted=object_id in prompted)
            self.frames.setdefault(object_id, []).append(frame)


def _masklet_frame(
    tracked: TrackedFrame, found: TrackedObject | None, *, prompted: bool
) -> MaskletFrame:
    box_xyxy = None if found is None else rle.box_of(found.mask)
    score = None if found is None else found.object_score
    iou = None if found is None else found.predicted_iou
    asked: tuple[FrameFlag, ...] = ("prompted",) if prompted else ()
    if found is None or box_xyxy is None:
        return MaskletFrame(
            frame_index=tracked.frame_index,
            pts_ns=tracked.pts_ns,
            rle=None,
            box_xyxy=None,
            area_px=0,
            object_score=score,
            predicted_iou=iou,
            fragments=0,
            flags=(*asked, "absent"),
        )
    border: tuple[FrameFlag, ...] = (
        ("border",) if rle.touches_border(box_xyxy, *found.mask.shape) else ()
    )
    return MaskletFrame(
        frame_index=tracked.frame_index,
        pts_ns=tracked.pts_ns,
        rle=rle.encode(found.mask),
        box_xyxy=box_xyxy,
        area_px=int(found.mask.sum()),
        object_score=score,
        predicted_iou=iou,
        fragments=rle.num_fragments(found.mask, box_xyxy),
        flags=asked + border,
    )


def _timed(shot: Shot, video: Video, times: Sequence[tuple[int, int]]) -> Shot:
    """The shot with the interval that was really decoded; the last frame lasts 1/fps."""
    (_, start_ns), (last_frame, last_ns) = times[0], times[-1]
    frame_ns = int(Fraction(video.fps_den * 10**9, video.fps_num)) if video.fps_num else 1
    return replace(shot, start_ns=start_ns, stop_frame=last_frame + 1, stop_ns=last_ns + frame_ns)


def _masklets(work: Work, shot: Shot, video: Video, track: _Track) -> tuple[Masklet, ...]:
    by_object: Mapping[int, list[MaskletFrame]] = track.frames
    return tuple(
        Masklet(
            masklet_id=ids.masklet_id(shot.shot_id, object_id),
            shot_id=shot.shot_id,
            video_id=work.source.video_id,
            object_id=object_id,
            label=prompts[0].label,
            shot_index=shot.index,
            start_frame=shot.start_frame,
            stop_frame=_known(shot.stop_frame),
            start_ns=shot.start_ns,
            stop_ns=_known(shot.stop_ns),
            width_px=video.width_px,
            height_px=video.height_px,
            prompts=prompts,
            frames=tuple(frames),
        )
        for object_id, frames in by_object.items()
        for prompts in [tuple(p for p in track.prompts if p.object_id == object_id)]
    )


def _known(value: int | None) -> int:
    if value is None:
        raise ValueError("a tracked shot must have an end, got None")
    return value
