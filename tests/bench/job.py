"""The whole job, `pvtt-flow run` with its Ray, against the engine alone on the same videos.

A run's time goes from the start of its first shot to its last receipt, so neither Ray's start nor
the loading of models is in it. Each is timed on some videos and on more; the additional frames
over the additional seconds are its steady state, in which the filling and emptying of the slots
and the first use of everything cancel.

The job also reads, decodes, detects, encodes masks to RLE, measures and judges them, and writes.
The engine alone tracks frames that are in memory, from the prompts that the job's detector found,
up to thresholded masks, with as many threads as there are cores. The job has as many actors of one
thread each.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from statistics import median

from pvtt_flow import open_dataset
from pvtt_flow.types import Prompt, VideoRecord
from tests.bench.clips import SAMPLES, WHOLE_SAMPLES, Filmed, sample
from tests.bench.compare import Spread
from tests.bench.pace import Pace
from tests.bench.systems import Engine, embedded, ignore

_ROOT = Path(__file__).parents[2]
_CONFIG = _ROOT / "configs" / "quickstart.yaml"
_CORES = len(os.sched_getaffinity(0))


@dataclass(frozen=True, slots=True)
class JobPlan:
    """Size of the measurement."""

    few: int
    many: int
    """Copies of the sample videos in the shorter and in the longer run. Four start all decoder
    processes; with fewer, the ratio has a part of their start."""
    num_rounds: int


@dataclass(frozen=True, slots=True)
class Work:
    """Frames and seconds of a run."""

    num_frames: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Round:
    """Measurement of all four runs."""

    job_few: Work
    job_many: Work
    engine_few: Work
    engine_many: Work

    @property
    def job_frames_per_s(self) -> float:
        """In steady state."""
        return _steady(self.job_few, self.job_many)

    @property
    def engine_frames_per_s(self) -> float:
        """In steady state."""
        return _steady(self.engine_few, self.engine_many)

    @property
    def ratio(self) -> float:
        """The job's speed over the engine's."""
        return self.job_frames_per_s / self.engine_frames_per_s


@dataclass(frozen=True, slots=True)
class Job:
    """All rounds."""

    plan: JobPlan
    rounds: list[Round]
    num_disturbed: int = 0
    """Runs during which the machine was slow."""

    @property
    def ratio(self) -> Spread:
        """The job's speed over the engine's."""
        return Spread.of([r.ratio for r in self.rounds])

    @property
    def job_frames_per_s(self) -> float:
        """Median."""
        return median(r.job_frames_per_s for r in self.rounds)

    @property
    def engine_frames_per_s(self) -> float:
        """Median."""
        return median(r.engine_frames_per_s for r in self.rounds)


def measure(plan: JobPlan, folder: Path) -> Job:
    """Runs both in turn; videos and datasets go to `folder`."""
    few, many = (copies(folder / f"videos-{n}", n) for n in (plan.few, plan.many))
    engine, pace = Engine(embedded()), Pace()
    datasets = (folder / f"dataset-{n}" for n in count())
    rounds = []
    for nth in range(plan.num_rounds):
        dataset, job_few = pace.steadily(lambda: _run_new(few, datasets))
        shots = _shots(dataset)
        if not nth:
            engine.track(shots, ignore)
        engine_few, engine_many = (
            pace.steadily(partial(_track, engine, shots * copies))
            for copies in (plan.few, plan.many)
        )
        _, job_many = pace.steadily(lambda: _run_new(many, datasets))
        rounds.append(Round(job_few, job_many, engine_few, engine_many))
    return Job(plan, rounds, pace.num_disturbed)


def _run_new(videos: Path, datasets: Iterator[Path]) -> tuple[Path, Work]:
    """Run the command for a dataset that does not exist yet."""
    dataset = next(datasets)
    return dataset, run(videos, dataset)


def _steady(few: Work, many: Work) -> float:
    return (many.num_frames - few.num_frames) / (many.seconds - few.seconds)


def copies(folder: Path, num_copies: int) -> Path:
    """The folder with copies of the samples, in an order that mixes them."""
    folder.mkdir()
    for copy in range(num_copies):
        for name in WHOLE_SAMPLES:
            shutil.copy(SAMPLES / f"{name}.mp4", folder / f"{copy:03d}-{name}.mp4")
    return folder


def run(videos: Path, dataset: Path) -> Work:
    """The command in a process of its own, on the videos of a folder."""
    settings = {
        "input.uri": videos,
        "output.uri": dataset,
        "detector.device": "cpu",
        "tracker.device": "cpu",
        "resources.propagate.actors": _CORES,
        # One CPU is left for the detector and an inspection.
        "resources.propagate.num_cpus": (_CORES - 1) / _CORES,
        "run.contact_sheet_videos": 0,
    }
    command = [sys.executable, "-m", "pvtt_flow.cli", "run", str(_CONFIG)]
    for key, value in settings.items():
        command += ["--set", f"{key}={value}"]
    done = subprocess.run(
        command, cwd=_ROOT, env=_environment(), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"the job must succeed, but: {done.stdout}{done.stderr}")
    return _work(open_dataset(str(dataset)).find_videos(""))


def _work(records: Sequence[VideoRecord]) -> Work:
    """From the rows of `videos`: each holds when its receipt came and how long it was tracked."""
    start_s = min(record.finished_at_ns / 1e9 - record.propagate_s for record in records)
    stop_s = max(record.finished_at_ns / 1e9 for record in records)
    return Work(sum(record.num_frames or 0 for record in records), stop_s - start_s)


def _environment() -> dict[str, str]:
    """Return this process's environment without the address of a Ray cluster."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    return kept | {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}


def _shots(dataset: Path) -> list[Filmed]:
    """The samples, decoded, with the prompts that the job's detector found in them."""
    opened = open_dataset(str(dataset))
    ids = {
        Path(record.uri).stem.removeprefix("000-"): record.video_id
        for record in opened.find_videos("000-")
    }
    prompts: dict[str, list[Prompt]] = {
        name: [p for m in opened.masklets_of(ids[name]) for p in m.prompts]
        for name in WHOLE_SAMPLES
    }
    return [sample(name, prompts[name]) for name in WHOLE_SAMPLES if prompts[name]]


def _track(engine: Engine, shots: Sequence[Filmed]) -> Work:
    started = time.perf_counter()
    engine.track(shots, ignore)
    seconds = time.perf_counter() - started
    return Work(sum(len(shot.frames) for shot in shots), seconds)
