"""Commands that process videos, or say what they would do."""

import json
from pathlib import Path
from typing import Annotated

import typer

from pvtt_flow.cli.options import (
    EXIT_FAILURES,
    EXIT_STOPPED,
    ConfigPath,
    IncludeStale,
    Limit,
    Only,
    Overrides,
    console,
    loaded_config,
    planned,
)


def run(
    config: ConfigPath,
    overrides: Overrides = None,
    limit: Limit = None,
    only: Only = None,
    include_stale: IncludeStale = False,  # noqa: FBT002
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print the plan.")] = False,  # noqa: FBT002
) -> None:
    """Process what is new, changed or failed, and commit it to the dataset."""
    from pvtt_flow.commands.plan import show_plan
    from pvtt_flow.commands.run import run_flow

    loaded = planned(config, overrides, only, include_stale=include_stale)
    if dry_run:
        show_plan(loaded, console(), limit=limit)
    elif not run_flow(loaded, console(), limit=limit):
        raise typer.Exit(EXIT_FAILURES)


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
        typer.Option(exists=True, file_okay=False, help="A folder to send; the job runs in it."),
    ] = None,
) -> None:
    """Run on a Ray cluster: submit the job, follow its log, exit as it does (3: stopped)."""
    from pvtt_flow.commands.submit import submit_run

    folder = None if working_dir is None else str(working_dir)
    loaded = planned(config, overrides, only, include_stale=include_stale)
    status = submit_run(loaded, console(), address=address, working_dir=folder)
    raise typer.Exit({"SUCCEEDED": 0, "STOPPED": EXIT_STOPPED}.get(status, EXIT_FAILURES))


def plan(
    config: ConfigPath,
    overrides: Overrides = None,
    limit: Limit = None,
    only: Only = None,
    include_stale: IncludeStale = False,  # noqa: FBT002
) -> None:
    """Print what a run would do, and why, without doing it."""
    from pvtt_flow.commands.plan import show_plan

    loaded = planned(config, overrides, only, include_stale=include_stale)
    show_plan(loaded, console(), limit=limit)


def debug(
    video: Annotated[str, typer.Argument(metavar="VIDEO", help="A path or uri of one video.")],
    config: Annotated[Path, typer.Option(help="A YAML file, see configs/.")],
    overrides: Overrides = None,
    out: Annotated[Path, typer.Option(help="Folder for rows and pictures.")] = Path("debug"),
) -> None:
    """Run every stage on one video in this process, without Ray, so that a breakpoint works."""
    from pvtt_flow.commands.debug import debug_video

    # As JSON, because a value is read as YAML, where `mug #2.mp4` is `mug` with a comment.
    only_this = f"input.uri={json.dumps(video, ensure_ascii=False)}"
    debug_video(video, loaded_config(config, [*(overrides or []), only_this]), out, console())
