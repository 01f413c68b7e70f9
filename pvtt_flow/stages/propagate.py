"""Prompted shots to masklets: decode where the model is, track, encode the masks there."""

import time
from collections.abc import Sequence
from dataclasses import replace

from pvtt_flow.core.timeline import SamplingParams
from pvtt_flow.models.tracker import Tracker
from pvtt_flow.stages._failures import guarded
from pvtt_flow.stages._shot_frames import ShotFrames, clip_of
from pvtt_flow.stages._track import Track
from pvtt_flow.types import Shot, ShotRecord, Video
from pvtt_flow.video.limits import Limits
from pvtt_flow.video.worker.decoder import Decoder, InProcessDecoder


class Propagate:
    """One shot in, the same shot with one masklet per prompted object out.

    May be called from several threads at once: their shots are then tracked together.
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
        """The same shots, tracked one after the other; a shot without prompts passes by."""
        return [
            done for record in records for done in guarded("propagate", self._propagate, record)
        ]

    def _propagate(self, record: ShotRecord) -> Sequence[ShotRecord]:
        if not record.prompts or record.shot is None or record.video is None:
            return [record]
        return [self._tracked(record, record.shot, record.video)]

    def _tracked(self, record: ShotRecord, shot: Shot, video: Video) -> ShotRecord:
        started = time.perf_counter()
        frames = ShotFrames(
            record.source.uri, video, shot, self._sampling, self._limits, self._decoder
        )
        track = Track(record.prompts)
        for tracked in self._tracker.track(clip_of(frames, record.prompts)):
            track.add(tracked)
        return replace(
            record,
            masklets=track.masklets(record.source.video_id, video, shot),
            num_frames=len(track.times),
            timings=replace(
                record.timings,
                propagate_s=time.perf_counter() - started,
                slot_utilization=track.slot_utilization,
            ),
        )
