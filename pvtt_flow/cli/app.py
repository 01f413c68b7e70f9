"""All commands, and what the process does around them."""

import atexit
import logging
import os
import sys
from collections.abc import Callable
from typing import NoReturn

import typer

from pvtt_flow.cli import configs, datasets, models, runs
from pvtt_flow.cli.options import EXIT_REFUSED

app = typer.Typer(
    help="A bucket of product videos in, a dataset of masklets out.",
    no_args_is_help=True,
    add_completion=False,
    # Typer's rich help takes 0.2 s to import; `--help` should answer at once.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
_COMMANDS: tuple[Callable[..., None], ...] = (
    # Runs.
    *(runs.run, runs.submit, runs.plan, runs.debug),
    # A dataset, and its earlier versions.
    *(datasets.show, datasets.preview, datasets.history, datasets.diff, datasets.restore),
    # What it says of its videos.
    *(datasets.judge, datasets.retry, datasets.clear),
    # The files that it lies in.
    *(datasets.compact, datasets.vacuum, datasets.upgrade),
)
for function in _COMMANDS:
    app.command()(function)
app.add_typer(models.app, name="models")
app.add_typer(configs.app, name="config")


def main() -> None:
    """The `pvtt-flow` command: known errors are one clear message, not a traceback."""
    from pvtt_flow.errors import PvttFlowError

    logging.basicConfig(
        level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr
    )
    logging.getLogger("pvtt_flow").setLevel(logging.INFO)
    try:
        app()
    except PvttFlowError as error:
        _refuse(error)


def _refuse(error: Exception) -> NoReturn:
    typer.echo(f"error: {error}", err=True)
    raise SystemExit(EXIT_REFUSED)


def command() -> NoReturn:
    """`main` as a process of its own.

    It ends without tearing down native libraries: their threads outlive the interpreter's modules,
    and now and then one of them aborts a run that has done all its work.
    """
    code = 0
    try:
        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            typer.echo(end.code, err=True)
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
