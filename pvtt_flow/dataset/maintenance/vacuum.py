"""Delete the files that no version needs any more, but for the versions of a while ago."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from deltalake import DeltaTable

from pvtt_flow.dataset.delta import open_table
from pvtt_flow.dataset.history import history, times_of
from pvtt_flow.dataset.tables import KEY, MASKLETS, VIDEOS
from pvtt_flow.dataset.transactions import Base, Step, advance, named_version, oldest_version
from pvtt_flow.errors import StoreError
from pvtt_flow.storage.retry import with_retries
from pvtt_flow.storage.store_errors import describe


@dataclass(frozen=True, slots=True)
class Vacuumed:
    """What went, or would go."""

    num_files: int
    oldest: int
    """The first version that can still be read."""


def vacuum(uri: str, *, keep: timedelta, dry_run: bool = False) -> Vacuumed:
    """Delete files that only versions older than `keep` have, and those that never got into one.

    Readers that opened their version less than `keep` ago are safe, and so are runs whose shots
    take less. First the log says from which version on the dataset can be read; then files go.
    """
    oldest = max(_oldest(uri, keep), oldest_version(open_table(uri, VIDEOS)))
    if not dry_run:
        advance(uri, lambda base: _step(base, oldest))
    first = {VIDEOS: oldest, MASKLETS: named_version(open_table(uri, VIDEOS, oldest))}
    hours = math.ceil(keep / timedelta(hours=1))
    num_files = sum(_delete(uri, name, first[name], hours, dry_run=dry_run) for name in first)
    return Vacuumed(num_files, oldest)


def _oldest(uri: str, keep: timedelta) -> int:
    """The version that was the latest `keep` ago, or the first."""
    versions, now = history(uri), datetime.now(UTC)
    # A time that is yet to come is wrong, and would hold up all that comes after it.
    times = times_of([version for version in versions if version.at <= now])
    first = versions[-1].version
    return next((version for version, at in reversed(times) if at <= now - keep), first)


def _step(base: Base, oldest: int) -> Step:
    oldest = max(oldest, oldest_version(base.videos))
    return Step(name="vacuum", oldest=oldest, notes={"oldest_version": oldest})


def _delete(uri: str, name: str, first: int, hours: int, *, dry_run: bool) -> int:
    table: DeltaTable = open_table(uri, name)

    def delete() -> Iterable[str]:
        return table.vacuum(
            retention_hours=hours,
            dry_run=dry_run,
            enforce_retention_duration=False,
            full=True,
            # When a file was removed is not enough to go by: the log may have forgotten it (Delta
            # does, after a week, in checkpoints), or have it from a clock that was late.
            keep_versions=list(range(first, table.version() + 1)),
        )

    try:
        return len(list(with_retries(delete)))
    except Exception as error:
        where = f"{uri}/{name}"
        raise StoreError(
            f"{KEY}: expected to delete files, but {describe(error, where)}"
        ) from error
