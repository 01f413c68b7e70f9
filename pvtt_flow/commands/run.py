"""`pvtt-flow run`: process, commit, and show what came of it."""

from rich.console import Console

from pvtt_flow.config.schema import RunConfig
from pvtt_flow.console.progress import watching
from pvtt_flow.console.tables import failures_table, summary_table
from pvtt_flow.pipeline.run import execute, prepare


def run_flow(config: RunConfig, console: Console, *, limit: int | None) -> bool:
    """Whether the run stayed within its failure budget."""
    prepared = prepare(config, limit=limit)
    with watching(console) as watcher:
        summary = execute(prepared, watcher)
    if not summary.num_planned:
        held = ", ".join(f"{n} {reason}" for reason, n in prepared.plan.counts.items() if n)
        console.print(f"nothing to do: {held or 'no videos'}")
        if prepared.plan.counts["stale"]:
            console.print("--include-stale makes the stale ones anew")
        console.print(f"dataset: {config.output.uri}", soft_wrap=True)
        return True
    console.print(summary_table(summary))
    if summary.failures:
        console.print(failures_table(summary.failures))
    # Painting takes a second to import, and a run should start without it.
    from pvtt_flow.commands.report import write_report

    report = write_report(config, summary)
    console.print(f"dataset: {config.output.uri} (version {summary.version})", soft_wrap=True)
    console.print(f"run: {report.run_uri}", soft_wrap=True)
    if report.contact_sheet_uri is not None:
        console.print(f"contact sheet: {report.contact_sheet_uri}", soft_wrap=True)
    if summary.failure_fraction > config.run.max_failure_fraction:
        console.print(
            f"{len(summary.failures)} of {summary.num_videos} videos failed, more than "
            f"$.run.max_failure_fraction ({config.run.max_failure_fraction:g}) allows",
            style="red",
        )
        return False
    return True
