"""Commands that process videos: run, submit, plan and debug."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pvtt_flow.cli.exit_codes import ExitCode
from pvtt_flow.cli.options import (
    ConfigPath,
    IncludeStale,
    Json,
    Limit,
    Listed,
    Only,
    Overrides,
    config_for_run,
    console,
    load_config,
    print_json,
)
from pvtt_flow.core.printable import printable
from pvtt_flow.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import Console

    from pvtt_flow.config.schema import RunConfig
    from pvtt_flow.pipeline.pace import Pace
    from pvtt_flow.pipeline.summary import Summary


def run(
    config: ConfigPath,
    overrides: Overrides = None,
    limit: Limit = None,
    only: Only = None,
    include_stale: IncludeStale = False,  # noqa: FBT002
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and stop.")] = False,  # noqa: FBT002
    listed: Listed = False,  # noqa: FBT002
) -> None:
    """Process new, changed and failed videos into a dataset."""
    loaded = config_for_run(config, overrides, only, include_stale=include_stale)
    if dry_run:
        _print_plan(loaded, limit, listed=listed)
    elif listed:
        raise ConfigError("--list prints a plan and must be with --dry-run, got no --dry-run")
    else:
        from pvtt_flow.cli.sigterm import sigterm_raises

        with sigterm_raises(SystemExit(ExitCode.TERMINATED)):
            enough_succeeded = _run(loaded, limit, console())
        raise typer.Exit(ExitCode.DONE if enough_succeeded else ExitCode.BAD)


def submit(
    config: ConfigPath,
    overrides: Overrides = None,
    only: Only = None,
    include_stale: IncludeStale = False,  # noqa: FBT002
    address: Annotated[
        str, typer.Option(help="The cluster's dashboard; RAY_API_SERVER_ADDRESS overrides it.")
    ] = "http://127.0.0.1:8265",
    working_dir: Annotated[
        Path | None,
        typer.Option(exists=True, file_okay=False, help="Folder to upload; the job runs in it."),
    ] = None,
) -> None:
    """Run on a Ray cluster: submit a job and follow its log.

    Exits with the code of the run, or with 3 when the job was stopped.
    """
    from pvtt_flow.cli.submit import submit_run

    folder = None if working_dir is None else str(working_dir)
    loaded = config_for_run(config, overrides, only, include_stale=include_stale)
    raise typer.Exit(submit_run(loaded, console(), address=address, working_dir=folder))


def plan(
    config: ConfigPath,
    overrides: Overrides = None,
    limit: Limit = None,
    only: Only = None,
    include_stale: IncludeStale = False,  # noqa: FBT002
    listed: Listed = False,  # noqa: FBT002
    as_json: Json = False,  # noqa: FBT002
) -> None:
    """Print which videos a run would process, and why."""
    loaded = config_for_run(config, overrides, only, include_stale=include_stale)
    _print_plan(loaded, limit, listed=listed, as_json=as_json)


def debug(
    video: Annotated[str, typer.Argument(metavar="VIDEO", help="A path or uri of one video.")],
    config: Annotated[Path, typer.Option(help="A YAML file, see configs/.")],
    overrides: Overrides = None,
    out: Annotated[Path, typer.Option(help="Folder for rows and pictures.")] = Path("debug"),
) -> None:
    """Run all stages on one video in this process.

    Without Ray and worker processes, so that breakpoints work. Exits with 1 if the video fails.
    """
    from pvtt_flow.cli.stage_debugger import debug_video

    # As JSON: values are read as YAML, where `mug #2.mp4` is `mug` with a comment.
    input_override = f"input.uri={json.dumps(video, ensure_ascii=False)}"
    loaded = load_config(config, [*(overrides or []), input_override])
    if not debug_video(video, loaded, out, console()):
        raise typer.Exit(ExitCode.BAD)


def _print_plan(
    config: "RunConfig", limit: int | None, *, listed: bool, as_json: bool = False
) -> None:
    from pvtt_flow.cli.output import estimate_text, plan_rows, plan_table
    from pvtt_flow.cli.thresholds import threshold_notice
    from pvtt_flow.pipeline.estimate import estimate_frames
    from pvtt_flow.pipeline.pace import past_pace
    from pvtt_flow.pipeline.run import prepare

    plan = prepare(config, limit=limit).plan
    if listed and not as_json:
        for row in plan_rows(plan):
            typer.echo("\t".join(map(printable, row.values())))
        return
    counts = {"counts": plan.counts, "to_process": len(plan.to_process)}
    if listed:
        print_json({**counts, "videos": list(plan_rows(plan))})
        return
    num_frames, pace = estimate_frames(config, plan.to_process), past_pace(config)
    if as_json:
        print_json({**counts, "estimate": _estimate_facts(num_frames, pace)})
        return
    out = console()
    out.print(plan_table(plan, estimate_text(num_frames, pace)))
    if notice := threshold_notice(config):
        out.print(notice, soft_wrap=True)


def _estimate_facts(num_frames: int | None, pace: "Pace | None") -> dict[str, object]:
    """Return an estimate as JSON has it: null where nothing is known to estimate by."""
    seconds = None
    if num_frames is not None and pace is not None:
        seconds = num_frames / pace.frames_per_s
    return {
        "frames": num_frames,
        "seconds": seconds,
        "pace": None if pace is None else asdict(pace),
    }


def _run(config: "RunConfig", limit: int | None, out: "Console") -> bool:
    """Run and print the results; return whether the failures are within their budget."""
    from pvtt_flow.cli.output import gone_notice
    from pvtt_flow.cli.progress import progress_watcher
    from pvtt_flow.cli.thresholds import threshold_notice
    from pvtt_flow.pipeline.run import execute, prepare

    prepared = prepare(config, limit=limit)
    if notice := threshold_notice(config):
        out.print(notice, soft_wrap=True)
    with progress_watcher(out) as watcher:
        summary = execute(prepared, watcher)
    if gone := prepared.plan.newly_gone:
        out.print(gone_notice(len(gone), config.output.uri), soft_wrap=True)
    if summary.num_planned:
        return _print_summary(config, summary, out)
    counts = ", ".join(f"{n} {reason}" for reason, n in prepared.plan.counts.items() if n)
    out.print(f"nothing to do: {counts or 'no videos'}")
    if prepared.plan.counts["stale"]:
        out.print("--include-stale processes the stale videos again")
    out.print(f"dataset: {config.output.uri}", soft_wrap=True)
    return True


def _print_summary(config: "RunConfig", summary: "Summary", out: "Console") -> bool:
    """Print the results and draw the contact sheet; return whether few enough videos failed."""
    from pvtt_flow.cli.output import failures_table, summary_table

    # Takes a second to import, so not before the run.
    from pvtt_flow.cli.run_report import write_contact_sheet
    from pvtt_flow.pipeline.run_record import record_uri

    out.print(summary_table(summary))
    if summary.failures:
        out.print(failures_table(summary.failures))
    sheet_uri = write_contact_sheet(config, summary)
    out.print(f"dataset: {config.output.uri} (version {summary.version})", soft_wrap=True)
    out.print(f"run: {record_uri(config.output.uri, summary.run_id)}", soft_wrap=True)
    if sheet_uri is not None:
        out.print(f"contact sheet: {sheet_uri}", soft_wrap=True)
    if summary.failure_fraction <= config.run.max_failure_fraction:
        return True
    out.print(
        f"{len(summary.failures)} of {summary.num_videos} videos failed, more than "
        f"$.run.max_failure_fraction ({config.run.max_failure_fraction:g}) allows",
        style="red",
    )
    return False
