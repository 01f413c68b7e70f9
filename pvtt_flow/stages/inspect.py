"""Source to shots: open the video, learn what it is, look at every frame, cut it into shots."""

import time
from collections.abc import Sequence
from dataclasses import replace

from pvtt_flow.core.shots import Interval, ShotParams, clip_intervals, partition, shots_of
from pvtt_flow.errors import DataError
from pvtt_flow.stages._failures import guarded
from pvtt_flow.types import Prompt, ShotRecord, Source, Timings, VideoFlag
from pvtt_flow.video.limits import Limits
from pvtt_flow.video.probe import probe
from pvtt_flow.video.scan import VideoScan, scan_video
from pvtt_flow.video.worker.decoder import Decoder, InProcessDecoder


class Inspect:
    """One video in, its shots out."""

    def __init__(self, params: ShotParams, limits: Limits, decoder: Decoder | None = None) -> None:
        self._params = params
        self._limits = limits
        self._decoder = decoder or InProcessDecoder()

    def __call__(self, records: Sequence[ShotRecord]) -> list[ShotRecord]:
        """The shots of all the videos; a bad one is one failed row."""
        return [shot for record in records for shot in guarded("inspect", self._inspect, record)]

    def _inspect(self, record: ShotRecord) -> Sequence[ShotRecord]:
        started = time.perf_counter()
        source, limits = record.source, self._limits
        uri, call = source.uri, self._decoder.call
        detect_cuts = self._params.detect_cuts and not source.shots
        video = call(probe, uri, size_bytes=source.size_bytes, limits=limits)
        found = call(scan_video, uri, video=video, detect_cuts=detect_cuts, limits=limits)
        intervals = self._intervals(source, found)
        _check_prompts(source.prompts, intervals, found)
        shots = shots_of(source.video_id, intervals, found.times_ns, found.end_ns)
        share_s = (time.perf_counter() - started) / len(shots)
        timings = Timings(inspect_s=share_s)
        records = [
            replace(record, video=video, shot=shot, num_shots=len(shots), timings=timings)
            for shot in shots
        ]
        flags: tuple[VideoFlag, ...] = ("truncated",) if found.broken else ()
        # Where the video breaks is the end of its last shot.
        return [*records[:-1], replace(records[-1], flags=flags)]

    def _intervals(self, source: Source, found: VideoScan) -> list[Interval]:
        if not source.shots:
            return partition(found.cuts, found.times_ns, found.end_ns, self._params)
        asked = [(start, stop) for start, stop in source.shots]
        intervals = clip_intervals(
            asked, len(found.times_ns), is_truncated=found.broken is not None
        )
        if not intervals and found.broken:
            raise found.broken
        return intervals


def _check_prompts(
    prompts: Sequence[Prompt], intervals: Sequence[Interval], found: VideoScan
) -> None:
    """Raise for prompts on frames of no shot, before anything is tracked."""
    outside = sorted({p.frame_index for p in prompts if not _is_in(intervals, p.frame_index)})
    if not outside:
        return
    num_frames = len(found.times_ns)
    if found.broken and outside[-1] >= num_frames:
        raise found.broken
    raise DataError(
        "bad_prompt",
        f"prompts must be on frames of a shot, got frames {outside}: they are past the end "
        f"(the video has {num_frames} frames) or outside the manifest's shots; correct their frame",
    )


def _is_in(intervals: Sequence[Interval], frame_index: int) -> bool:
    return any(start <= frame_index < stop for start, stop in intervals)
