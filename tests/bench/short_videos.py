"""The first look at many short videos (`Inspect`: probe, times, cuts), and its share of a job.

As many videos at once as there are cores, each in a decoder process. The whole job on the same
videos uses all cores, too: its steady state, as in `job`, is the seconds that one more video takes.
"""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

from pvtt_flow.core.shots import ShotParams
from pvtt_flow.stages.inspect import Inspect
from pvtt_flow.types import ShotRecord, Source
from pvtt_flow.video.limits import DEFAULT_LIMITS
from pvtt_flow.video.worker.decoder import IsolatedDecoder
from pvtt_flow.video.worker.pool import SHARED_POOL
from tests.bench import job
from tests.bench.clips import SAMPLES, WHOLE_SAMPLES

# Copies of the samples in the shorter and in the longer job.
_FEW, _MANY = 2, 8


@dataclass(frozen=True, slots=True)
class ShortVideos:
    """Measurement of many short videos."""

    num_videos: int
    seconds: float
    """Seconds of the inspection of all videos."""
    job_video_s: float
    """Seconds that one more video adds to the whole job."""

    @property
    def videos_per_s(self) -> float:
        """First looks in a second."""
        return self.num_videos / self.seconds

    @property
    def share_of_job(self) -> float:
        """Fraction of all the work on a video."""
        return self.seconds / self.num_videos / self.job_video_s


def measure(num_videos: int, folder: Path) -> ShortVideos:
    """Looks at so many samples, then runs the job on a few; data goes to `folder`."""
    return ShortVideos(num_videos, _look(num_videos), _job_video_s(folder))


def _look(num_videos: int) -> float:
    inspect = Inspect(ShotParams(), DEFAULT_LIMITS, IsolatedDecoder(SHARED_POOL))
    works = [_work(name, n) for n, name in enumerate(islice(cycle(WHOLE_SAMPLES), num_videos))]
    num_cores = len(os.sched_getaffinity(0))
    with ThreadPoolExecutor(num_cores) as pool:
        one = list(pool.map(lambda work: inspect([work]), works[: 2 * num_cores]))  # warms up
        started = time.perf_counter()
        looked_at = list(pool.map(lambda work: inspect([work]), works))
        seconds = time.perf_counter() - started
    failed = [shot.failure for shots in [*one, *looked_at] for shot in shots if shot.failure]
    if failed:
        raise RuntimeError(f"every sample must pass, but: {failed[0]}")
    return seconds


def _work(name: str, number: int) -> ShotRecord:
    path = SAMPLES / f"{name}.mp4"
    size_bytes = path.stat().st_size
    return ShotRecord(
        source=Source(video_id=str(number), uri=str(path), etag="", size_bytes=size_bytes)
    )


def _job_video_s(folder: Path) -> float:
    few, many = (
        job.run(job.copies(folder / f"videos-{n}", n), folder / f"dataset-{n}")
        for n in (_FEW, _MANY)
    )
    return (many.seconds - few.seconds) / ((_MANY - _FEW) * len(WHOLE_SAMPLES))
