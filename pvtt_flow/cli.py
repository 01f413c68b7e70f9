"""The command line. Each command is a thin call; heavy imports wait until one is chosen."""

import atexit
import json
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from pvtt_flow.config import RunConfig

app = typer.Typer(
    help="A bucket of product videos in, a dataset of masklets out.",
    no_args_is_help=True,
    add_completion=False,
    # Typer's rich help takes 0.2 s to import; `--help` should answer at once.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
models_app = typer.Typer(help="Model weights by name.", no_args_is_help=True)
config_app = typer.Typer(help="What a config holds.", no_args_is_help=True)
app.add_typer(models_app, name="models")
app.add_typer(config_app, name="config")

ConfigPath = Annotated[Path, typer.Argument(metavar="CONFIG", help="A YAML file, see configs/.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY.PATH=VALUE", help="Override a value; may be repeated."),
]
Limit = Annotated[
    int | None, typer.Option(min=0, help="Process at most this many of the videos to do.")
]
DatasetUri = Annotated[str, typer.Argument(metavar="DATASET", help="A folder or s3:// uri.")]
ModelsFolder = Annotated[
    str | None, typer.Option("--models", help="Folder or bucket of weights; default: the cache.")
]

# What a shell can tell apart: 0 done, 1 too many videos failed, 2 the run could not start,
# 3 the job was stopped.
EXIT_FAILURES = 1
EXIT_REFUSED = 2
EXIT_STOPPED = 3


@app.command()
def run(
    config: ConfigPath,
    overrides: Overrides = None,
    limit: Limit = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print the plan.")] = False,  # noqa: FBT002
) -> None:
    """Process what is new, changed, stale or failed, and commit it to the dataset."""
    from pvtt_flow.commands.plan import show_plan
    from pvtt_flow.commands.run import run_flow

    loaded = _load(config, overrides)
    if dry_run:
        show_plan(loaded, _console(), limit=limit)
    elif not run_flow(loaded, _console(), limit=limit):
        raise typer.Exit(EXIT_FAILURES)


@app.command()
def submit(
    config: ConfigPath,
    overrides: Overrides = None,
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
    loaded = _load(config, overrides)
    status = submit_run(loaded, _console(), address=address, working_dir=folder)
    raise typer.Exit({"SUCCEEDED": 0, "STOPPED": EXIT_STOPPED}.get(status, EXIT_FAILURES))


@app.command()
def plan(config: ConfigPath, overrides: Overrides = None, limit: Limit = None) -> None:
    """Print what a run would do, and why, without doing it."""
    from pvtt_flow.commands.plan import show_plan

    show_plan(_load(config, overrides), _console(), limit=limit)


@app.command()
def show(dataset: DatasetUri) -> None:
    """Print what a dataset holds."""
    from pvtt_flow.commands.show import show_dataset

    show_dataset(dataset, _console())


@app.command()
def preview(
    dataset: DatasetUri,
    video: Annotated[str, typer.Argument(metavar="VIDEO", help="A video_id, or part of one.")],
    out: Annotated[Path, typer.Option(help="Folder for the pictures.")] = Path("previews"),
) -> None:
    """Paint one video's masks over its frames: an mp4 and a contact sheet."""
    from pvtt_flow.commands.preview import preview_video

    preview_video(dataset, video, out, _console())


@app.command()
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
    debug_video(video, _load(config, [*(overrides or []), only_this]), out, _console())


@models_app.command("list")
def models_list(folder: ModelsFolder = None) -> None:
    """Print the weights that have a name, and where they are."""
    from pvtt_flow.commands.models import list_models

    list_models(folder, _console())


@models_app.command("fetch")
def models_fetch(
    name: Annotated[str, typer.Argument(help="A name of `models list`.")],
    folder: ModelsFolder = None,
) -> None:
    """Download weights from their publisher and check them against the pinned hash."""
    from pvtt_flow.commands.models import fetch_model

    fetch_model(name, folder, _console())


@models_app.command("verify")
def models_verify(folder: ModelsFolder = None) -> None:
    """Check the weights that are there against their pinned hashes."""
    from pvtt_flow.commands.models import verify_models

    if not verify_models(folder, _console()):
        raise typer.Exit(EXIT_FAILURES)


@config_app.command("show")
def config_show(config: ConfigPath, overrides: Overrides = None) -> None:
    """Print the whole config, defaults and overrides included."""
    from pvtt_flow.config import dump

    typer.echo(dump(_load(config, overrides)))


@config_app.command("schema")
def config_schema() -> None:
    """Print the config's JSON schema."""
    from pvtt_flow.config import RunConfig

    typer.echo(json.dumps(RunConfig.model_json_schema(), indent=2))


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


def _load(config: Path, overrides: list[str] | None) -> "RunConfig":
    from pvtt_flow.config import load

    return load(config, overrides or [])


def _console() -> "Console":
    from rich.console import Console

    # A file's name is printed as it is, also when it looks like markup: `[red] :cup:.mp4`.
    return Console(markup=False, emoji=False)


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


if __name__ == "__main__":
    command()
