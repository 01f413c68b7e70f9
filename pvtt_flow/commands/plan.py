"""`pvtt-flow plan` and `run --dry-run`: what a run would do, and why."""

from collections.abc import Sequence

from rich.console import Console

from pvtt_flow.config.schema import RunConfig
from pvtt_flow.console.tables import plan_table
from pvtt_flow.pipeline.run import prepare
from pvtt_flow.stages import factory
from pvtt_flow.types import ShotRecord, Source, Video

# Enough for an estimate, few enough for a plan in seconds.
_NUM_PROBED = 16


def show_plan(config: RunConfig, console: Console, *, limit: int | None) -> None:
    """Print the counts by reason and the estimated frames."""
    plan = prepare(config, limit=limit).plan
    console.print(plan_table(plan, estimate_frames(config, plan.to_process)))


def estimate_frames(config: RunConfig, to_process: Sequence[Source]) -> int | None:
    """Frames to process, from the headers of a few videos and the bytes of all.

    None when none of the few can be opened.
    """
    step = max(len(to_process) // _NUM_PROBED, 1)
    probed = factory.inspect(config)(
        [ShotRecord(source=s) for s in to_process[::step][:_NUM_PROBED]]
    )
    known = [(w.source.size_bytes, _num_frames(w.video, config)) for w in probed if w.video]
    num_bytes = sum(size for size, _ in known)
    if not num_bytes:
        return None if to_process else 0
    return round(sum(s.size_bytes for s in to_process) * sum(n for _, n in known) / num_bytes)


def _num_frames(video: Video, config: RunConfig) -> float:
    duration_s = (video.duration_ns or 0) / 1e9
    in_file = video.num_frames_from_header or duration_s * video.fps_num / max(video.fps_den, 1)
    if config.sampling.target_fps is not None:
        return min(in_file, duration_s * config.sampling.target_fps)
    return in_file / config.sampling.stride
