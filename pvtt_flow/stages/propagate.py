"""Prompted shots to masklets: decode where the model is, track, encode the masks there."""

import time
from collections.abc import Sequence
from dataclasses import replace

from pvtt_flow.core.timeline import SamplingParams
from pvtt_flow.models.tracker import Tracker
from pvtt_flow.stages._failures import guarded
from pvtt_flow.stages._shot_frames import ShotFrames, clip_of
from pvtt_flow.stages._track import Track
from pvtt_flow.types import Shot, Video, Work
from pvtt_flow.video.limits import Limits
from pvtt_flow.video.worker.decoder import Decoder, InProcess


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
        self._decoder = decoder or InProcess()

    def __call__(self, works: Sequence[Work]) -> list[Work]:
        """The same shots, tracked one after the other; a shot without prompts passes by."""
        return [done for work in works for done in guarded("propagate", self._propagate, work)]

    def _propagate(self, work: Work) -> Sequence[Work]:
        if not work.prompts or work.shot is None or work.video is None:
            return [work]
        return [self._tracked(work, work.shot, work.video)]

    def _tracked(self, work: Work, shot: Shot, video: Video) -> Work:
        started = time.perf_counter()
        frames = ShotFrames(
            work.source.uri, video, shot, self._sampling, self._limits, self._decoder
        )
        track = Track(work.prompts)
        for tracked in self._tracker.track(clip_of(frames, work.prompts)):
            track.add(tracked)
        return replace(
            work,
            masklets=track.masklets(work.source.video_id, video, shot),
            num_frames=len(track.times),
            timings=replace(
                work.timings,
                propagate_s=time.perf_counter() - started,
                lanes_busy=track.lanes_busy,
            ),
        )
