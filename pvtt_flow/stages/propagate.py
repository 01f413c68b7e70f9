"""Propagate stage: decode a prompted shot where the model is, track it, encode its masks."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from pvtt_flow.core.agreement import with_detector_iou
from pvtt_flow.core.appearance import MeasureParams
from pvtt_flow.core.cleaning import CleanParams, cleaned
from pvtt_flow.core.repair import RepairParams
from pvtt_flow.core.timeline import SamplingParams
from pvtt_flow.models.salient import SalientModel
from pvtt_flow.models.tracker import ForeignStateError, PromptedShot, Tracker
from pvtt_flow.stages._backward import with_backward_iou
from pvtt_flow.stages._detector_boxes import detector_boxes
from pvtt_flow.stages._failures import guarded
from pvtt_flow.stages._masklet_builder import MaskletBuilder
from pvtt_flow.stages._observe import observed
from pvtt_flow.stages._repair import Repairer
from pvtt_flow.stages._salient import with_salient_iou
from pvtt_flow.stages._shot_checkpoint import Checkpoints, Progress, ShotCheckpoint
from pvtt_flow.stages._shot_frames import ShotFrames, make_prompted_shot, sampled_times
from pvtt_flow.types import Masklet, Prompt, Shot, ShotRecord, Sighting, Video
from pvtt_flow.video.limits import Limits
from pvtt_flow.video.worker.decoder import Decoder, InProcessDecoder


@dataclass(frozen=True, slots=True)
class Finish:
    """Settings for the masks of a shot that is tracked."""

    clean: CleanParams = field(default_factory=CleanParams)
    measure: MeasureParams = field(default_factory=MeasureParams)
    boxes_only: bool = False
    """True for the baseline `detector_boxes`, which has no tracker."""
    repair: RepairParams = field(default_factory=RepairParams)
    tracker_hash: str = ""
    """SHA-256 of the weights, by which a repair judges masks."""
    salient: SalientModel | None = None
    """Model of `measure.salient`."""


class Propagate:
    """Adds one masklet for each prompted object to a shot.

    Thread-safe: shots of several threads are tracked together.
    """

    def __init__(
        self,
        tracker: Tracker,
        sampling: SamplingParams,
        limits: Limits,
        decoder: Decoder | None = None,
        checkpoints: Checkpoints | None = None,
        finish: Finish | None = None,
    ) -> None:
        """Track shots and finish their masks.

        With checkpoints, shots that take long go on after an interruption.
        """
        self._tracker = tracker
        self._sampling = sampling
        self._limits = limits
        self._decoder = decoder or InProcessDecoder()
        self._checkpoints = checkpoints
        self._finish = finish or Finish()

    def __call__(self, records: Sequence[ShotRecord]) -> list[ShotRecord]:
        """Track the shots one after the other; of a shot without prompts, count the frames."""
        return [
            tracked
            for record in records
            for tracked in guarded("propagate", self._propagate, record)
        ]

    def _propagate(self, record: ShotRecord) -> Sequence[ShotRecord]:
        if record.shot is None or record.video is None:
            return [record]
        if not record.prompts:
            return [replace(record, num_frames=len(sampled_times(record.shot, self._sampling)))]
        return [self._track(record, record.shot, record.video)]

    def _track(self, record: ShotRecord, shot: Shot, video: Video) -> ShotRecord:
        frames = ShotFrames(
            record.source.uri, video, shot, self._sampling, self._limits, self._decoder
        )
        if self._finish.boxes_only:
            progress = _draw_boxes(frames, record, video)
        elif self._checkpoints is None:
            progress = self._follow(frames, Progress(MaskletBuilder(record.prompts)), None)
        else:
            checkpoint = self._checkpoints.of_shot(record.source, shot, video)
            progress = self._resume(frames, record.prompts, checkpoint)
        builder = progress.builder
        tracked = builder.masklets(record.source.video_id, video, shot)
        clean = tuple(cleaned(masklet, self._finish.clean) for masklet in tracked)
        seen = observed(clean, frames.read, self._finish.measure)
        final = self._compared(frames, self._repaired(record, frames, seen))
        return replace(
            record,
            prompts=tuple(builder.prompts),
            masklets=tuple(
                with_detector_iou(masklet, record.searched, record.sightings) for masklet in final
            ),
            num_frames=len(builder.times),
            num_resumed_frames=progress.num_resumed_frames,
            timings=replace(
                record.timings,
                propagate_s=progress.propagate_s,
                slot_utilization=builder.slot_utilization,
            ),
        )

    def _repaired(
        self, record: ShotRecord, frames: ShotFrames, masklets: Sequence[Masklet]
    ) -> Sequence[Masklet]:
        finish = self._finish
        if not finish.repair.attempts or not record.searched:
            return masklets
        sightings: dict[int, list[Sighting]] = {index: [] for index in record.searched}
        for sighting in record.sightings:
            sightings[sighting.frame_index].append(sighting)
        repairer = Repairer(
            tracker=self._tracker,
            read=frames.read,
            params=finish.repair,
            clean=finish.clean,
            measure=finish.measure,
            tracker_hash=finish.tracker_hash,
            sightings=sightings,
        )
        return [repairer.repaired(masklet) for masklet in masklets]

    def _compared(self, frames: ShotFrames, masklets: Sequence[Masklet]) -> Sequence[Masklet]:
        """Return the masklets with what a pass back and a salient-object model say of them."""
        finish = self._finish
        if finish.measure.backward:
            masklets = with_backward_iou(masklets, self._tracker, frames.read)
        if finish.salient is not None:
            every = finish.measure.salient.every
            masklets = with_salient_iou(masklets, frames.read, finish.salient, every)
        return masklets

    def _resume(
        self, frames: ShotFrames, prompts: Sequence[Prompt], checkpoint: ShotCheckpoint
    ) -> Progress:
        """Track from the checkpoint on, if there is one that fits, else from the first frame."""
        saved = checkpoint.load()
        if saved is not None:
            try:
                return self._follow(frames, saved, checkpoint)
            except ForeignStateError as error:  # before the first frame
                checkpoint.ignore(error)
        return self._follow(frames, Progress(MaskletBuilder(prompts)), checkpoint)

    def _follow(
        self, frames: ShotFrames, progress: Progress, checkpoint: ShotCheckpoint | None
    ) -> Progress:
        """Track to the end of the shot; return its progress."""
        started = time.perf_counter() - progress.propagate_s
        builder = progress.builder
        for tracked in self._tracker.track(_shot_to_track(frames, progress, checkpoint)):
            builder.add(tracked)
            progress.propagate_s = time.perf_counter() - started
            if checkpoint is not None:
                checkpoint.save(progress, tracked.state)
        progress.propagate_s = time.perf_counter() - started
        return progress


def _draw_boxes(frames: ShotFrames, record: ShotRecord, video: Video) -> Progress:
    progress = Progress(MaskletBuilder(record.prompts))
    for tracked in detector_boxes(
        frames.times, record.prompts, record.searched, record.sightings, video
    ):
        progress.builder.add(tracked)
    return progress


def _shot_to_track(
    frames: ShotFrames, progress: Progress, checkpoint: ShotCheckpoint | None
) -> PromptedShot:
    prompted = make_prompted_shot(frames, progress.builder.prompts)
    if checkpoint is None:
        return prompted
    saved, progress.state = progress.state, None  # large
    return replace(prompted, saved=saved, wants_state=checkpoint.is_due)
