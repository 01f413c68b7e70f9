"""`pvtt-flow plan` and `run --dry-run`: what a run would do, and why."""

from rich.console import Console

from pvtt_flow.config.schema import RunConfig
from pvtt_flow.console.tables import plan_table
from pvtt_flow.pipeline.estimate import estimate_frames
from pvtt_flow.pipeline.run import prepare


def show_plan(config: RunConfig, console: Console, *, limit: int | None) -> None:
    """Print the counts by reason and the estimated frames."""
    plan = prepare(config, limit=limit).plan
    console.print(plan_table(plan, estimate_frames(config, plan.to_process)))
