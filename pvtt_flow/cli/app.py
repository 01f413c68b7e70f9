"""Build the `pvtt-flow` command and run it as a process."""

import atexit
import logging
import os
import sys
import traceback
from collections.abc import Callable
from typing import Annotated, NoReturn

import typer

from pvtt_flow import __version__
from pvtt_flow.cli import (
    config,
    dataset,
    evaluate,
    export,
    fitness,
    listing,
    maintenance,
    models,
    report,
    run,
    show,
    versions,
)
from pvtt_flow.cli.exit_codes import ExitCode, code_of, help_text
from pvtt_flow.errors import PvttFlowError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    # Typer's rich help takes 0.2 s to import; `--help` should answer at once.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    epilog=help_text(),
)


def _print_version(value: bool) -> None:  # noqa: FBT001 (typer's callback)
    if value:
        typer.echo(f"pvtt-flow {__version__}")
        raise typer.Exit


@app.callback()
def pvtt_flow(
    _version: Annotated[  # noqa: FBT002
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Turn a bucket of product videos into a dataset of masklets."""


_COMMANDS: tuple[Callable[..., None], ...] = (
    *(run.run, run.submit, run.plan, run.debug),
    *(show.show, listing.list_videos, report.report),
    *(dataset.preview, dataset.judge, dataset.retry, dataset.clear),
    *(export.export, export.formats, export.validate, fitness.fitness, fitness.profiles),
    *(evaluate.prompts, evaluate.evaluate),
    *(versions.history, versions.diff, versions.restore),
    *(maintenance.check, maintenance.compact, maintenance.vacuum),
    *(maintenance.upgrade, maintenance.relocate),
)
for function in _COMMANDS:
    # A function of this name would hide Python's own.
    app.command("list" if function is listing.list_videos else None)(function)
app.add_typer(models.app, name="models")
app.add_typer(config.app, name="config")


def main() -> None:
    """Run the command line; print a known error as one line and exit with its code."""
    logging.basicConfig(
        level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr
    )
    logging.getLogger("pvtt_flow").setLevel(logging.INFO)
    try:
        app()
    except PvttFlowError as error:
        _exit_with_error(error)


def command() -> NoReturn:
    """Run `main` as a process of its own (the entry point of `pvtt-flow`)."""
    code: int = ExitCode.DONE
    # A thread that outlives Ray must not start another one. Ray reads this when it is imported.
    os.environ.setdefault("RAY_ENABLE_AUTO_CONNECT", "0")
    try:
        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            typer.echo(end.code, err=True)
    except Exception:  # noqa: BLE001 (a bug, whose traceback is needed)
        code = ExitCode.BUG
        traceback.print_exc()
    # Skip the teardown of native libraries, whose threads sometimes abort a finished run in it.
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _exit_with_error(error: PvttFlowError) -> NoReturn:
    from pvtt_flow.core.printable import printable

    typer.echo(f"error: {printable(str(error), keep_lines=True)}", err=True)
    raise SystemExit(code_of(error))
