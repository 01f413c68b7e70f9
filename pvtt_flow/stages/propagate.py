"""Propagate stage: decode a prompted shot where the model is, track it, encode its masks."""

import time
from collections.abc import Sequence
from dataclasses import replace

from pvtt_flow.core.timeline import SamplingParams
from pvtt_flow.models.tracker import Tracker
from pvtt_flow.stages._failures import guarded
from pvtt_flow.stages._masklet_builder import MaskletBuilder
from pvtt_flow.stages._shot_frames import ShotFrames, make_prompted_shot, sampled_times
from pvtt_flow.types import Shot, ShotRecord, Video
from pvtt_flow.video.limits import Limits
from pvtt_flow.video.worker.decoder import Decoder, InProcessDecoder


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
    ) -> None:
        self._tracker = tracker
        self._sampling = sampling
        self._limits = limits
        self._decoder = decoder or InProcessDecoder()

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
        started = time.perf_counter()
        frames = ShotFrames(
            record.source.uri, video, shot, self._sampling, self._limits, self._decoder
        )
        builder = MaskletBuilder(record.prompts)
        for tracked in self._tracker.track(make_prompted_shot(frames, record.prompts)):
            builder.add(tracked)
        return replace(
            record,
            masklets=builder.masklets(record.source.video_id, video, shot),
            num_frames=len(builder.times),
            timings=replace(
                record.timings,
                propagate_s=time.perf_counter() - started,
                slot_utilization=builder.slot_utilization,
            ),
        )
