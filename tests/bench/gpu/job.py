"""Fifth part: the whole job against the engine alone, in one process and without Ray.

The job decodes in worker processes, tracks, encodes masks to RLE, judges, and writes Parquet files
to a dataset: the stages of `pvtt-flow run` after detection. The engine alone tracks the same
frames, which are in memory at display size, up to masks at display size.
"""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path

from pvtt_flow.core.qc import QcThresholds
from pvtt_flow.core.shots import ShotParams
from pvtt_flow.core.timeline import EVERY_FRAME
from pvtt_flow.dataset.dataset import Dataset
from pvtt_flow.stages.inspect import Inspect
from pvtt_flow.stages.judge import Judge
from pvtt_flow.stages.propagate import Propagate
from pvtt_flow.stages.write import ShotResult, Write
from pvtt_flow.types import Lineage, ShotRecord, Source
from pvtt_flow.video.limits import DEFAULT_LIMITS
from pvtt_flow.video.worker.decoder import IsolatedDecoder
from pvtt_flow.video.worker.pool import SHARED_POOL
from tests.bench.clips import Encoded, Filmed
from tests.bench.gpu.bench import Bench
from tests.bench.gpu.compilation import Compiler
from tests.bench.gpu.contestant import Spec, make_engine
from tests.bench.gpu.plan import Name
from tests.bench.gpu.record import Row
from tests.bench.gpu.worker import Worker
from tests.bench.systems import ignore

_LINEAGE = Lineage(
    run_id="bench", config_hash="", detector_hash="", tracker_hash="", code_version=""
)


def measure(bench: Bench) -> None:
    """Run both in turn, for each model."""
    for name in bench.plan.job:
        _measure(bench, name)


def _measure(bench: Bench, name: Name) -> None:
    plan = bench.plan
    spec = plan.engine(plan.model(name, bench.folder), plan.job_lanes)
    clips = [clip.first(plan.job_frames) for clip in bench.clips]
    with Worker(Job, spec, clips, bench.folder / f"dataset-{name}") as worker:
        for nth in range(plan.num_rounds):
            done = bench.attempt(
                {"model": name, "lanes": plan.job_lanes, "round": nth},
                lambda: worker.call("run", plan.job_shots, timeout_s=bench.clock.remaining_s),
            )
            if done is None:
                return


class Job:
    """Stages of a job around one engine."""

    def __init__(self, spec: Spec, clips: Sequence[Encoded], dataset: Path) -> None:
        """Load the engine, inspect the clips, make the dataset, and run both once."""
        Compiler(generates_code=spec.generates_code)
        engine = make_engine(spec)
        self._engine = engine
        self._lanes = spec.lanes
        self._filmed = [Filmed(clip.frames, clip.prompts) for clip in clips]
        self._records = [_inspected(clip) for clip in clips]
        decoder = IsolatedDecoder(SHARED_POOL)
        self._propagate = Propagate(engine.tracker, EVERY_FRAME, DEFAULT_LIMITS, decoder)
        self._judge = Judge(QcThresholds(), _LINEAGE.tracker_hash)
        written = Dataset(str(dataset))
        written.ensure()
        self._write = Write(written, _LINEAGE)
        self.run(spec.lanes)

    def run(self, num_shots: int) -> Row:
        """Run the job and the engine alone on so many shots."""
        job = self._seconds_of_job(num_shots)
        engine = self._seconds_of_engine(num_shots)
        num_frames = sum(len(c.frames) for c in islice(cycle(self._filmed), num_shots))
        return {
            "num_shots": num_shots,
            "num_frames": num_frames,
            "job_frames_per_s": num_frames / job,
            "engine_frames_per_s": num_frames / engine,
            "job_over_engine": engine / job,
        }

    def _seconds_of_job(self, num_shots: int) -> float:
        records = list(islice(cycle(self._records), num_shots))
        started = time.perf_counter()
        with ThreadPoolExecutor(self._lanes) as pool:
            results = list(pool.map(self._process, records))
        seconds = time.perf_counter() - started
        if failed := [r.failure for r in results if r.failure is not None]:
            raise RuntimeError(f"every shot must succeed, got {failed[0]}")
        return seconds

    def _process(self, record: ShotRecord) -> ShotResult:
        [result] = self._write(self._judge(self._propagate([record])))
        return result

    def _seconds_of_engine(self, num_shots: int) -> float:
        clips = list(islice(cycle(self._filmed), num_shots))
        started = time.perf_counter()
        self._engine.track(clips, ignore)
        return time.perf_counter() - started


def _inspected(clip: Encoded) -> ShotRecord:
    """Return the clip as one shot with its prompts."""
    source = Source(
        video_id=clip.path.stem,
        uri=str(clip.path),
        etag="",
        size_bytes=clip.path.stat().st_size,
        shots=((0, clip.num_frames),),
    )
    [record] = Inspect(ShotParams(), DEFAULT_LIMITS)([ShotRecord(source=source)])
    if record.failure is not None:
        raise RuntimeError(f"the clip must be readable, got {record.failure}")
    return replace(record, prompts=clip.prompts)
