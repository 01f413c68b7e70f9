"""Delete the files that no version needs any more, but for the versions of a while ago."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from deltalake import DeltaTable

from pvtt_flow.dataset.chain import Base, Step, advance, oldest_version
from pvtt_flow.dataset.delta import open_table
from pvtt_flow.dataset.history import history
from pvtt_flow.dataset.tables import KEY, MASKLETS, VIDEOS
from pvtt_flow.errors import StoreError
from pvtt_flow.storage.patience import patiently
from pvtt_flow.storage.trouble import explain


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
    oldest = max(_oldest(uri, datetime.now(UTC) - keep), oldest_version(open_table(uri, VIDEOS)))
    if not dry_run:
        advance(uri, lambda base: _step(base, oldest))
    hours = math.ceil(keep / timedelta(hours=1))
    num_files = sum(_delete(uri, name, hours, dry_run=dry_run) for name in (VIDEOS, MASKLETS))
    return Vacuumed(num_files, oldest)


def _oldest(uri: str, since: datetime) -> int:
    """The version that was the latest then, or the first; by the clocks of those who made them.

    Files are deleted by the same clocks, so a clock that was late makes both later, not one.
    """
    times = [(v.version, v.at) for v in history(uri)]
    return next((version for version, at in times if at <= since), times[-1][0])


def _step(base: Base, oldest: int) -> Step:
    oldest = max(oldest, oldest_version(base.videos))
    return Step(name="vacuum", oldest=oldest, notes={"oldest_version": oldest})


def _delete(uri: str, name: str, hours: int, *, dry_run: bool) -> int:
    table: DeltaTable = open_table(uri, name)

    def delete() -> Iterable[str]:
        return table.vacuum(
            retention_hours=hours, dry_run=dry_run, enforce_retention_duration=False, full=True
        )

    try:
        return len(list(patiently(delete)))
    except Exception as error:
        where = f"{uri}/{name}"
        raise StoreError(f"{KEY}: expected to delete files, but {explain(error, where)}") from error
