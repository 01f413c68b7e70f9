"""Commands on the files of a dataset: compact, vacuum and upgrade."""

from datetime import timedelta
from typing import Annotated

import typer

from pvtt_flow.cli.options import DatasetUri, console


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
