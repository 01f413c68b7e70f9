"""Commands on the tables of a dataset: check, compact, vacuum, upgrade and relocate."""

from collections.abc import Iterator
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from pvtt_flow.cli.exit_codes import ExitCode
from pvtt_flow.cli.options import DatasetUri, Json, console, print_json, report

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pvtt_flow.dataset.check import Checked
    from pvtt_flow.dataset.maintenance.repair import Repaired

_MAX_LISTED = 5


def check(
    dataset: DatasetUri,
    deep: Annotated[  # noqa: FBT002
        bool, typer.Option("--deep", help="Read all files and verify their checksums.")
    ] = False,
    repair: Annotated[  # noqa: FBT002
        bool, typer.Option("--repair", help="Forget what is lost; the next run makes it again.")
    ] = False,
    as_json: Json = False,  # noqa: FBT002
) -> None:
    """Look for lost and damaged files of a dataset.

    Exits with 1 if there is damage, and with 0 if there is none or it has been repaired.
    """
    from pvtt_flow.dataset.maintenance.repair import repair as forget_lost
    from pvtt_flow.storage.uris import normalize_uri

    uri = normalize_uri(dataset)
    checked = _check(uri, deep=deep)
    # Without a version the log itself is damaged, and no commit can mend it.
    can_repair = repair and checked.findings and checked.version is not None
    repaired = forget_lost(uri, checked.damaged) if can_repair else None
    if as_json:
        print_json(_check_facts(checked, repaired))
    else:
        for line in _check_lines(dataset, checked, repaired, deep=deep):
            console().print(line, soft_wrap=True)
    if checked.findings and repaired is None:
        raise typer.Exit(ExitCode.BAD)


def _check(uri: str, *, deep: bool) -> "Checked":
    """Check a dataset, with a count of its files on a terminal."""
    from rich.progress import Progress, SpinnerColumn, TextColumn

    from pvtt_flow.dataset.check import check as look

    out = console(stderr=True)
    columns = SpinnerColumn(), TextColumn("{task.description}"), TextColumn("{task.completed}")
    with Progress(*columns, console=out, transient=True, disable=not out.is_terminal) as progress:
        task = progress.add_task("files checked:", total=None)
        return look(uri, deep=deep, on_file=lambda: progress.advance(task))


def _check_facts(checked: "Checked", repaired: "Repaired | None") -> dict[str, object]:
    return {
        "version": checked.version,
        "files": checked.num_files,
        "findings": [asdict(finding) for finding in checked.findings],
        "lost_video_ids": checked.lost_video_ids,
        "repaired": None if repaired is None else asdict(repaired),
    }


def _check_lines(
    dataset: str, checked: "Checked", repaired: "Repaired | None", *, deep: bool
) -> Iterator[str]:
    for finding in checked.findings:
        yield f"{finding.uri} {finding.problem}{_videos(finding.video_ids)}"
    if not checked.findings:
        how = "" if deep else " by their sizes; --deep reads them all"
        yield f"version {checked.version}: {checked.num_files} files are whole{how}"
    elif repaired is not None:
        yield (
            f"version {repaired.version}: the next run processes {len(repaired.video_ids)} videos "
            f"again (undo with pvtt-flow restore {dataset} {checked.version})"
        )
    elif checked.version is not None:
        yield (
            f"copy what is lost back, or run pvtt-flow check {dataset} --repair; "
            f"the next run then processes {len(checked.lost_video_ids)} videos again"
        )


def _videos(video_ids: "Sequence[str]") -> str:
    listed = [*video_ids[:_MAX_LISTED], *(["..."] if len(video_ids) > _MAX_LISTED else [])]
    return f"; it holds rows of {', '.join(listed)}" if listed else ""


def compact(dataset: DatasetUri, as_json: Json = False) -> None:  # noqa: FBT002
    """Merge small files of a dataset into larger ones.

    Runs do this, too, but less thoroughly.
    """
    from pvtt_flow.dataset.history import open_snapshot
    from pvtt_flow.dataset.maintenance.compact import FULL
    from pvtt_flow.dataset.maintenance.compact import compact as compact_files

    before = open_snapshot(dataset)
    version = compact_files(before.uri, FULL, {})
    after = open_snapshot(dataset, version)
    numbers = before.num_files(), after.num_files()
    report(
        f"{numbers[0]} files became {numbers[1]}; version {version}",
        {"version": version, "files_before": numbers[0], "files": numbers[1]},
        as_json=as_json,
    )


def vacuum(
    dataset: DatasetUri,
    keep_days: Annotated[
        float, typer.Option(min=1.0, help="Keep versions of this many days readable.")
    ] = 7.0,
    dry_run: Annotated[  # noqa: FBT002
        bool, typer.Option("--dry-run", help="Print what would be deleted.")
    ] = False,
    as_json: Json = False,  # noqa: FBT002
) -> None:
    """Delete files that only old versions of a dataset use."""
    from pvtt_flow.dataset.history import open_snapshot
    from pvtt_flow.dataset.maintenance.vacuum import vacuum as delete_files

    keep = timedelta(days=keep_days)
    vacuumed = delete_files(open_snapshot(dataset).uri, keep=keep, dry_run=dry_run)
    verb = "would be deleted" if dry_run else "deleted"
    report(
        f"{vacuumed.num_files} files {verb}; readable from version {vacuumed.oldest} on",
        {"files": vacuumed.num_files, "oldest_version": vacuumed.oldest, "dry_run": dry_run},
        as_json=as_json,
    )


def upgrade(dataset: DatasetUri, as_json: Json = False) -> None:  # noqa: FBT002
    """Add the columns that an older dataset does not have."""
    from pvtt_flow.dataset.history import open_snapshot
    from pvtt_flow.dataset.maintenance.upgrade import upgrade as upgrade_tables

    before = open_snapshot(dataset)
    version = upgrade_tables(before.uri)
    upgraded = version != before.version
    state = "upgraded to the current columns" if upgraded else "already up to date"
    facts = {"version": version, "upgraded": upgraded}
    report(f"version {version}: {state}", facts, as_json=as_json)


def relocate(
    dataset: DatasetUri,
    old_prefix: Annotated[
        str, typer.Argument(metavar="OLD", help="Folder, bucket or prefix where the videos were.")
    ],
    new_prefix: Annotated[str, typer.Argument(metavar="NEW", help="Where they are now.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would change.")] = False,  # noqa: FBT002
    as_json: Json = False,  # noqa: FBT002
) -> None:
    """Tell a dataset that its videos have moved.

    Replaces the beginning of their uris and inputs, in one version. Ids and results stay, so the
    next run finds the videos unchanged.
    """
    from pvtt_flow.dataset.history import open_snapshot
    from pvtt_flow.dataset.maintenance.relocate import relocate as relocate_videos

    uri = open_snapshot(dataset).uri
    relocated = relocate_videos(uri, old_prefix, new_prefix, dry_run=dry_run)
    if as_json:
        print_json({**asdict(relocated), "dry_run": dry_run})
        return
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
