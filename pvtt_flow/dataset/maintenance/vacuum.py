"""Vacuum: delete files that no version within the retention period needs."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from deltalake import DeltaTable

from pvtt_flow.dataset.delta import open_table
from pvtt_flow.dataset.history import history, times_of
from pvtt_flow.dataset.snapshot import Snapshot, masklets_version
from pvtt_flow.dataset.tables import KEY, MASKLETS, VIDEOS
from pvtt_flow.dataset.transactions import Transaction, commit, oldest_version
from pvtt_flow.dataset.unfinished import UnfinishedShots
from pvtt_flow.errors import StoreError
from pvtt_flow.storage.retry import with_retries
from pvtt_flow.storage.store_errors import describe


@dataclass(frozen=True, slots=True)
class Vacuumed:
    """Result of a vacuum, or of its dry run."""

    num_files: int
    oldest: int
    """First version that can still be read."""


def vacuum(uri: str, *, keep: timedelta, dry_run: bool = False) -> Vacuumed:
    """Delete files that only versions older than `keep` need, and files that were never committed:
    rows of killed runs, and saved states of shots that no run went on with.

    Readers are safe if they opened their version less than `keep` ago, and so are runs whose shots
    take less than that. The oldest readable version is committed before files are deleted.
    """
    oldest = max(_latest_before(uri, keep), oldest_version(open_table(uri, VIDEOS)))
    if not dry_run:
        commit(uri, lambda snapshot: _set_oldest(snapshot, oldest))
    first = {VIDEOS: oldest, MASKLETS: masklets_version(open_table(uri, VIDEOS, oldest))}
    hours = math.ceil(keep / timedelta(hours=1))
    num_files = sum(_delete(uri, name, first[name], hours, dry_run=dry_run) for name in first)
    num_files += UnfinishedShots(uri).remove_old(keep, dry_run=dry_run)
    return Vacuumed(num_files, oldest)


def _latest_before(uri: str, keep: timedelta) -> int:
    """Return the version that was the latest `keep` ago, or the first version."""
    versions, now = history(uri), datetime.now(UTC)
    # A time in the future is wrong, and would keep all later versions from expiring.
    times = times_of([version for version in versions if version.at <= now])
    first = versions[-1].version
    return next((version for version, at in reversed(times) if at <= now - keep), first)


def _set_oldest(snapshot: Snapshot, oldest: int) -> Transaction:
    oldest = max(oldest, oldest_version(snapshot.videos))
    return Transaction(operation="vacuum", oldest=oldest, notes={"oldest_version": oldest})


def _delete(uri: str, name: str, first: int, hours: int, *, dry_run: bool) -> int:
    table: DeltaTable = open_table(uri, name)

    def delete() -> Iterable[str]:
        return table.vacuum(
            retention_hours=hours,
            dry_run=dry_run,
            enforce_retention_duration=False,
            full=True,
            # The time at which a file was removed is not enough: Delta drops it from checkpoints
            # after a week, and the clock of the writer may have been late.
            keep_versions=list(range(first, table.version() + 1)),
        )

    try:
        return len(list(with_retries(delete)))
    except Exception as error:
        where = f"{uri}/{name}"
        raise StoreError(f"{KEY}: files must be deleted, but {describe(error, where)}") from error
