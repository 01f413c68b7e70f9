"""Options and helpers that several commands share."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pvtt_flow.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import Console

    from pvtt_flow.config.schema import RunConfig
    from pvtt_flow.readers.snapshot import DatasetSnapshot
    from pvtt_flow.types import VideoRecord

ConfigPath = Annotated[Path, typer.Argument(metavar="CONFIG", help="A YAML file, see configs/.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY.PATH=VALUE", help="Override a value; repeatable."),
]
Limit = Annotated[int | None, typer.Option(min=0, help="Process at most this many videos.")]
Only = Annotated[
    str | None,
    typer.Option(metavar="REASONS", help="Process only these: new,changed,stale,failed."),
]
IncludeStale = Annotated[
    bool,
    typer.Option("--include-stale", help="Also process videos with changed settings or weights."),
]
DatasetUri = Annotated[str, typer.Argument(metavar="DATASET", help="A folder or s3:// uri.")]
Listed = Annotated[
    bool, typer.Option("--list", help="Print a line for each video: reason, id, detail, uri.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Video = Annotated[str, typer.Argument(metavar="VIDEO", help="An id, or part of an id or uri.")]
ModelsFolder = Annotated[
    str | None, typer.Option("--models", help="Folder or bucket of weights; default: the cache.")
]

_MAX_LISTED = 5
_MAX_NEAREST = 3


def print_json(value: object) -> None:
    """Print a value as indented JSON; of a command with `--json`, standard output has no more."""
    typer.echo(json.dumps(value, indent=2))


def report(sentence: str, facts: Mapping[str, object], *, as_json: bool) -> None:
    """Print what a command has done: a sentence for a person, or its facts as JSON."""
    if as_json:
        print_json(facts)
    else:
        console().print(sentence, soft_wrap=True)


def known_values(option: str, values: Sequence[str] | None, known: Sequence[str]) -> Sequence[str]:
    """Return the values of an option that takes some names; none if it was not given.

    Raises ConfigError for another name.
    """
    for value in values or []:
        if value not in known:
            raise ConfigError(f"{option} must be one of {', '.join(known)}, got {value!r}")
    return values or []


def load_config(config: Path, overrides: list[str] | None) -> "RunConfig":
    """Load a config file with its overrides."""
    from pvtt_flow.config.loading import load

    return load(config, overrides or [])


def config_for_run(
    config: Path, overrides: list[str] | None, only: str | None, *, include_stale: bool
) -> "RunConfig":
    """Load a config with the flags that select the videos to process."""
    selection = [] if only is None else [f"run.process=[{only}]"]
    loaded = load_config(config, [*(overrides or []), *selection])
    return loaded.processing("stale") if include_stale else loaded


def console(*, stderr: bool = False) -> "Console":
    """Return the console that commands print to."""
    from rich.console import Console

    # File names may look like markup: `[red] :cup:.mp4`.
    return Console(markup=False, emoji=False, stderr=stderr)


def find_video(dataset: "DatasetSnapshot", part: str) -> "VideoRecord":
    """Return the one video with this id, or the one whose id or uri contains it.

    Raises ConfigError for no such video, and for several.
    """
    matches = dataset.find_videos(part, limit=_MAX_LISTED + 1)
    if len(matches) == 1:
        return matches[0]
    advice = f"list ids with pvtt-flow list {dataset.uri}"
    if not matches:
        nearest = ", ".join(dataset.nearest_ids(part, limit=_MAX_NEAREST))
        hint = f"did you mean {nearest}? Else " if nearest else ""
        raise ConfigError(f"no video in {dataset.uri} matches {part!r}; {hint}{advice}")
    ids = [record.video_id for record in matches[:_MAX_LISTED]]
    ids += ["..."] if len(matches) > _MAX_LISTED else []
    raise ConfigError(
        f"VIDEO must match one video in {dataset.uri}, got {part!r}, which matches "
        f"{', '.join(ids)}; {advice}"
    )
