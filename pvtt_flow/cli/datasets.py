"""Commands about a dataset that is there."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from pvtt_flow.cli.options import DatasetUri, console
from pvtt_flow.errors import ConfigError

Videos = Annotated[
    list[str] | None, typer.Argument(metavar="[VIDEO]...", help="Ids, or parts of ids or uris.")
]


def show(
    dataset: DatasetUri,
    videos: Annotated[bool, typer.Option("--videos", help="List the videos instead.")] = False,  # noqa: FBT002
) -> None:
    """Print what a dataset holds."""
    from pvtt_flow.commands.show import list_videos, show_dataset

    if videos:
        list_videos(dataset)
    else:
        show_dataset(dataset, console())


def preview(
    dataset: DatasetUri,
    video: Annotated[str, typer.Argument(metavar="VIDEO", help="A video_id, or part of one.")],
    out: Annotated[Path, typer.Option(help="Folder for the pictures.")] = Path("previews"),
) -> None:
    """Paint one video's masks over its frames: an mp4 and a contact sheet."""
    from pvtt_flow.commands.preview import preview_video

    preview_video(dataset, video, out, console())


def history(
    dataset: DatasetUri,
    limit: Annotated[int, typer.Option(min=1, help="How many of the latest versions.")] = 100,
) -> None:
    """Print the versions: when, who, and what they did; a run's commits are one line."""
    from pvtt_flow.commands.versions import show_history

    show_history(dataset, limit, console())


def diff(
    dataset: DatasetUri,
    before: Annotated[int, typer.Argument(metavar="A", help="A version.")],
    after: Annotated[int, typer.Argument(metavar="B", help="A later one.")],
) -> None:
    """Print what changed from version A to B: videos, verdicts, and how much masks differ."""
    from pvtt_flow.commands.versions import show_difference

    show_difference(dataset, before, after, console())


def restore(
    dataset: DatasetUri,
    version: Annotated[int | None, typer.Argument(help="A version of `history`.")] = None,
    at: Annotated[
        datetime | None, typer.Option(help="The version that was the latest at this time, UTC.")
    ] = None,
) -> None:
    """Make a new version that holds what an earlier one held."""
    from pvtt_flow.commands.versions import restore_version

    if (version is None) == (at is None):
        raise ConfigError("restore: give either VERSION or --at")
    restore_version(dataset, version, at, console())


def compact(dataset: DatasetUri) -> None:
    """Merge small files into larger ones; runs do so by themselves, less thoroughly."""
    from pvtt_flow.commands.upkeep import compact_dataset

    compact_dataset(dataset, console())


def vacuum(
    dataset: DatasetUri,
    keep_days: Annotated[
        float, typer.Option(min=1.0, help="Versions of so many days stay readable.")
    ] = 7.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,  # noqa: FBT002
) -> None:
    """Delete the files of versions that nobody needs any more."""
    from pvtt_flow.commands.upkeep import vacuum_dataset

    vacuum_dataset(dataset, timedelta(days=keep_days), console(), dry_run=dry_run)


def upgrade(dataset: DatasetUri) -> None:
    """Bring a dataset that an older pvtt_flow has made up to this one's columns."""
    from pvtt_flow.commands.upkeep import upgrade_dataset

    upgrade_dataset(dataset, console())


def judge(
    dataset: DatasetUri,
    config: Annotated[
        Path | None, typer.Option(help="Take the thresholds of this config, not the defaults.")
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="qc.KEY=VALUE", help="A threshold; may be repeated."),
    ] = None,
) -> None:
    """Give every masklet a new verdict from its stored measurements, as a new version."""
    from pvtt_flow.commands.judge import judge_dataset

    judge_dataset(dataset, config, overrides or [], console())


def retry(
    dataset: DatasetUri,
    videos: Videos = None,
    kind: Annotated[
        str | None, typer.Option(help="All that failed in this way, `unreadable` for example.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All that failed.")] = False,  # noqa: FBT002
) -> None:
    """Give failed and quarantined videos all their attempts again, in the next run."""
    from pvtt_flow.commands.mend import retry_videos

    retry_videos(dataset, videos or [], kind, console(), every=every)


def clear(
    dataset: DatasetUri,
    videos: Videos = None,
    gone: Annotated[bool, typer.Option("--gone", help="All that are gone.")] = False,  # noqa: FBT002
) -> None:
    """Forget videos and their masklets: gone ones, or such that the next run makes anew."""
    from pvtt_flow.commands.mend import clear_videos

    clear_videos(dataset, videos or [], console(), gone=gone)
