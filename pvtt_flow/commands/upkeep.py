"""`pvtt-flow compact`, `vacuum` and `upgrade`: the files of a dataset."""

from datetime import timedelta

from rich.console import Console

from pvtt_flow.dataset.dataset import Dataset
from pvtt_flow.dataset.maintenance.compact import FULL, compact
from pvtt_flow.dataset.maintenance.upgrade import upgrade
from pvtt_flow.dataset.maintenance.vacuum import vacuum


def compact_dataset(uri: str, console: Console) -> None:
    """Merge whatever is small."""
    dataset = Dataset.existing(uri)
    before = dataset.num_files()
    version = compact(dataset.uri, FULL, {})
    console.print(f"{before} files became {dataset.num_files()}; version {version}")


def vacuum_dataset(uri: str, keep: timedelta, console: Console, *, dry_run: bool) -> None:
    """Delete what is old, or say what would go."""
    done = vacuum(Dataset.existing(uri).uri, keep=keep, dry_run=dry_run)
    verb = "would go" if dry_run else "deleted"
    console.print(f"{done.num_files} files {verb}; readable from version {done.oldest} on")


def upgrade_dataset(uri: str, console: Console) -> None:
    """Bring the tables up to date."""
    dataset = Dataset.existing(uri)
    before = dataset.latest()
    version = upgrade(dataset.uri)
    changed = "has today's columns" if version != before else "had today's columns already"
    console.print(f"version {version} {changed}")
