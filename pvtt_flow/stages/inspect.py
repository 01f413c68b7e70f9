"""Source to shots: open the video by ranged reads, learn what it is, cut it into shots."""

import time
from collections.abc import Sequence
from dataclasses import replace

from pvtt_flow.core import ids
from pvtt_flow.data import Shot, Timings, Work
from pvtt_flow.isolation.decoder import Decoder, InProcess
from pvtt_flow.media.limits import Limits
from pvtt_flow.media.probe import probe
from pvtt_flow.stages.guard import guarded


class Inspect:
    """One video in, its shots out; today every video is one shot."""

    def __init__(self, limits: Limits, decoder: Decoder | None = None) -> None:
        self._limits = limits
        self._decoder = decoder or InProcess()

    def __call__(self, works: Sequence[Work]) -> list[Work]:
        """The shots of all the videos; a bad one is one failed row."""
        return [shot for work in works for shot in guarded("inspect", self._inspect, work)]

    def _inspect(self, work: Work) -> Sequence[Work]:
        started = time.perf_counter()
        source = work.source
        video = self._decoder.call(
            probe, source.uri, size_bytes=source.size_bytes, limits=self._limits
        )
        # Where the shot really begins and ends in time is known once it has been decoded.
        shot = Shot(
            shot_id=ids.shot_id(source.video_id, 0, 0),
            index=0,
            start_frame=0,
            stop_frame=None,
            start_ns=0,
            stop_ns=None,
        )
        timings = Timings(inspect_s=time.perf_counter() - started)
        return [replace(work, video=video, shot=shot, num_shots=1, timings=timings)]
