"""What the commands' options have in common, and how a shell tells their ends apart."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from pvtt_flow.config.schema import RunConfig

ConfigPath = Annotated[Path, typer.Argument(metavar="CONFIG", help="A YAML file, see configs/.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY.PATH=VALUE", help="Override a value; may be repeated."),
]
Limit = Annotated[
    int | None, typer.Option(min=0, help="Process at most this many of the videos to do.")
]
Only = Annotated[
    str | None,
    typer.Option(metavar="REASONS", help="Some of new,changed,stale,failed."),
]
IncludeStale = Annotated[
    bool, typer.Option("--include-stale", help="Also videos whose settings or weights changed.")
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


def loaded_config(config: Path, overrides: list[str] | None) -> "RunConfig":
    """The config of a file and its overrides."""
    from pvtt_flow.config.loading import load

    return load(config, overrides or [])


def planned(
    config: Path, overrides: list[str] | None, only: str | None, *, include_stale: bool
) -> "RunConfig":
    """The config with the flags that choose what is processed."""
    chosen = [] if only is None else [f"run.process=[{only}]"]
    loaded = loaded_config(config, [*(overrides or []), *chosen])
    return loaded.processing("stale") if include_stale else loaded


def console() -> "Console":
    """Where commands print."""
    from rich.console import Console

    # A file's name is printed as it is, also when it looks like markup: `[red] :cup:.mp4`.
    return Console(markup=False, emoji=False)
