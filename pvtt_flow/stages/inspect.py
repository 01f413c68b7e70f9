"""Inspect stage: probe a video, scan all its frames, and split it into shots."""

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
from pvtt_flow.video.worker.content_hash import hash_of_source
from pvtt_flow.video.worker.decoder import Decoder, InProcessDecoder


class Inspect:
    """Turns a video into its shots."""

    def __init__(self, params: ShotParams, limits: Limits, decoder: Decoder | None = None) -> None:
        self._params = params
        self._limits = limits
        self._decoder = decoder or InProcessDecoder()

    def __call__(self, records: Sequence[ShotRecord]) -> list[ShotRecord]:
        """Return the shots of all videos; a bad video is one failed record."""
        return [shot for record in records for shot in guarded("inspect", self._inspect, record)]

    def _inspect(self, record: ShotRecord) -> Sequence[ShotRecord]:
        started = time.perf_counter()
        source, limits = record.source, self._limits
        uri, call = source.uri, self._decoder.call
        detect_cuts = self._params.detect_cuts and not source.shots
        video = call(probe, uri, size_bytes=source.size_bytes, limits=limits)
        # Before the frames are read: if the file changes after this, its next hash is another one.
        video = replace(video, content_hash=hash_of_source(source, limits))
        video_scan = call(scan_video, uri, video=video, detect_cuts=detect_cuts, limits=limits)
        video = replace(video, seekable=video_scan.seekable)
        intervals = self._intervals(source, video_scan)
        _check_prompts(source.prompts, intervals, video_scan)
        shots = shots_of(source.video_id, intervals, video_scan.times_ns, video_scan.end_ns)
        share_s = (time.perf_counter() - started) / len(shots)
        timings = Timings(inspect_s=share_s)
        records = [
            replace(record, video=video, shot=shot, num_shots=len(shots), timings=timings)
            for shot in shots
        ]
        flags: tuple[VideoFlag, ...] = ("truncated",) if video_scan.truncation else ()
        # A truncated video ends in its last shot.
        return [*records[:-1], replace(records[-1], flags=flags)]

    def _intervals(self, source: Source, video_scan: VideoScan) -> list[Interval]:
        if not source.shots:
            return partition(video_scan.cuts, video_scan.times_ns, video_scan.end_ns, self._params)
        requested = [(start, stop) for start, stop in source.shots]
        intervals = clip_intervals(
            requested, len(video_scan.times_ns), is_truncated=video_scan.truncation is not None
        )
        if not intervals and video_scan.truncation:
            raise video_scan.truncation
        return intervals


def _check_prompts(
    prompts: Sequence[Prompt], intervals: Sequence[Interval], video_scan: VideoScan
) -> None:
    """Raise DataError for prompts on frames of no shot."""
    outside = sorted({p.frame_index for p in prompts if not _contains(intervals, p.frame_index)})
    if not outside:
        return
    num_frames = len(video_scan.times_ns)
    if video_scan.truncation and outside[-1] >= num_frames:
        raise video_scan.truncation
    raise DataError(
        "bad_prompt",
        f"prompts must be on frames of a shot, got frames {outside}, which are past the end "
        f"(the video has {num_frames} frames) or outside the manifest's shots; correct their frame",
    )


def _contains(intervals: Sequence[Interval], frame_index: int) -> bool:
    return any(start <= frame_index < stop for start, stop in intervals)
