"""Commands on the tables of a dataset: check, compact, vacuum, upgrade and relocate."""

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from pvtt_flow.cli.exit_codes import ExitCode
from pvtt_flow.cli.options import DatasetUri, console

if TYPE_CHECKING:
    from collections.abc import Sequence


_MAX_LISTED = 5


def check(
    dataset: DatasetUri,
    deep: Annotated[  # noqa: FBT002
        bool, typer.Option("--deep", help="Read all files and verify their checksums.")
    ] = False,
    repair: Annotated[  # noqa: FBT002
        bool, typer.Option("--repair", help="Forget what is lost; the next run makes it again.")
    ] = False,
) -> None:
    """Look for lost and damaged files of a dataset.

    Exits with 1 if there is damage, and with 0 if there is none or it has been repaired.
    """
    from rich.progress import Progress, SpinnerColumn, TextColumn

    from pvtt_flow.dataset.check import check as look
    from pvtt_flow.dataset.maintenance.repair import repair as forget_lost
    from pvtt_flow.storage.uris import normalize_uri

    out, uri = console(), normalize_uri(dataset)
    columns = SpinnerColumn(), TextColumn("{task.description}"), TextColumn("{task.completed}")
    with Progress(*columns, console=out, transient=True, disable=not out.is_terminal) as progress:
        task = progress.add_task("files checked:", total=None)
        checked = look(uri, deep=deep, on_file=lambda: progress.advance(task))
    for finding in checked.findings:
        out.print(f"{finding.uri} {finding.problem}{_videos(finding.video_ids)}", soft_wrap=True)
    if not checked.findings:
        how = "" if deep else " by their sizes; --deep reads them all"
        out.print(f"version {checked.version}: {checked.num_files} files are whole{how}")
        return
    if checked.version is None:
        raise typer.Exit(ExitCode.BAD)
    if repair:
        repaired = forget_lost(uri, checked.damaged)
        out.print(
            f"version {repaired.version}: the next run processes {len(repaired.video_ids)} videos "
            f"again (undo with pvtt-flow restore {dataset} {checked.version})",
            soft_wrap=True,
        )
        return
    out.print(
        f"copy what is lost back, or run pvtt-flow check {dataset} --repair; "
        f"the next run then processes {len(checked.lost_video_ids)} videos again",
        soft_wrap=True,
    )
    raise typer.Exit(ExitCode.BAD)


def _videos(video_ids: "Sequence[str]") -> str:
    listed = [*video_ids[:_MAX_LISTED], *(["..."] if len(video_ids) > _MAX_LISTED else [])]
    return f"; it holds rows of {', '.join(listed)}" if listed else ""


def compact(dataset: DatasetUri) -> None:
    """Merge small files of a dataset into larger ones.

    Runs do this, too, but less thoroughly.
    """
    from pvtt_flow.dataset.history import open_snapshot
    from pvtt_flow.dataset.maintenance.compact import FULL
    from pvtt_flow.dataset.maintenance.compact import compact as compact_files

    before = open_snapshot(dataset)
    version = compact_files(before.uri, FULL, {})
    after = open_snapshot(dataset, version)
    console().print(f"{before.num_files()} files became {after.num_files()}; version {version}")


def vacuum(
    dataset: DatasetUri,
    keep_days: Annotated[
        float, typer.Option(min=1.0, help="Keep versions of this many days readable.")
    ] = 7.0,
    dry_run: Annotated[  # noqa: FBT002
        bool, typer.Option("--dry-run", help="Print what would be deleted.")
    ] = False,
) -> None:
    """Delete files that only old versions of a dataset use."""
    from pvtt_flow.dataset.history import open_snapshot
    from pvtt_flow.dataset.maintenance.vacuum import vacuum as delete_files

    keep = timedelta(days=keep_days)
    vacuumed = delete_files(open_snapshot(dataset).uri, keep=keep, dry_run=dry_run)
    verb = "would be deleted" if dry_run else "deleted"
    console().print(
        f"{vacuumed.num_files} files {verb}; readable from version {vacuumed.oldest} on"
    )


def upgrade(dataset: DatasetUri) -> None:
    """Add the columns that an older dataset does not have."""
    from pvtt_flow.dataset.history import open_snapshot
    from pvtt_flow.dataset.maintenance.upgrade import upgrade as upgrade_tables

    before = open_snapshot(dataset)
    version = upgrade_tables(before.uri)
    state = "upgraded to the current columns" if version != before.version else "already up to date"
    console().print(f"version {version}: {state}")


def relocate(
    dataset: DatasetUri,
    old_prefix: Annotated[
        str, typer.Argument(metavar="OLD", help="Folder, bucket or prefix where the videos were.")
    ],
    new_prefix: Annotated[str, typer.Argument(metavar="NEW", help="Where they are now.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would change.")] = False,  # noqa: FBT002
) -> None:
    """Tell a dataset that its videos have moved.

    Replaces the beginning of their uris and inputs, in one version. Ids and results stay, so the
    next run finds the videos unchanged.
    """
    from pvtt_flow.dataset.history import open_snapshot
    from pvtt_flow.dataset.maintenance.relocate import relocate as relocate_videos

    uri = open_snapshot(dataset).uri
    relocated = relocate_videos(uri, old_prefix, new_prefix, dry_run=dry_run)
    out, verb = console(), "would be relocated" if dry_run else "relocated"
    out.print(f"{relocated.num_videos} videos {verb}; version {relocated.version}")
    if relocated.example:
        out.print(" -> ".join(relocated.example), soft_wrap=True)
    if relocated.num_left:
        out.print(
            f"{relocated.num_left} videos stay at {old_prefix}, since the dataset already has "
            f"videos at their new uris; pvtt-flow clear {dataset} VIDEO deletes one of the two",
            soft_wrap=True,
        )
