"""Versions of a dataset: open one, list them, restore one."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pvtt_flow.dataset.delta import open_table, tables_exist
from pvtt_flow.dataset.file_actions import actions_between
from pvtt_flow.dataset.log_entries import naming_entries
from pvtt_flow.dataset.snapshot import Snapshot, snapshot_at
from pvtt_flow.dataset.tables import MASKLETS, VIDEOS
from pvtt_flow.dataset.transactions import Transaction, commit, oldest_version
from pvtt_flow.errors import PreflightError
from pvtt_flow.storage.uris import normalize_uri, redact_uri

# Entries of delta-rs, and entries that have fields of their own or are of no use to people.
_NOT_NOTES = {"timestamp", "operation", "operationParameters", "operationMetrics", "engineInfo",
              "clientVersion", "version", "readVersion", "isBlindAppend", "isolationLevel",
              "step", "by", "run_id", "commit_id", "masklets_version"}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """Version of a dataset, as its log has it."""

    version: int
    at: datetime
    """Time of the commit, by the clock of the writer."""
    operation: str
    """Operation that made it: `run`, `judge`, `restore`, …"""
    by: str
    run_id: str | None
    notes: Mapping[str, Any]
    """Counts and settings of the operation."""


def open_snapshot(uri: str, version: int | None = None, *, at: datetime | None = None) -> Snapshot:
    """Open a dataset that exists: at a version, as of a time, or at the latest version.

    Raises PreflightError if there is no dataset, no such version or no access, and ValueError for
    a time without a time zone, or for both a version and a time.
    """
    if version is not None and at is not None:
        raise ValueError(f"give a version or a time, not both, got {version} and {at}")
    uri = normalize_uri(uri)
    tables_exist(uri, key=None)  # its errors say more about buckets than delta-rs does
    if at is not None:
        version = version_at(uri, at)
    if version is not None:
        check_version(uri, version)
    return snapshot_at(uri, version)


def history(uri: str, limit: int | None = None) -> list[Version]:
    """Return the latest versions, newest first; all of them without a limit."""
    videos = open_table(uri, VIDEOS)
    with naming_entries(uri, VIDEOS):
        return [_version(entry) for entry in videos.history(limit)]


def version_at(uri: str, at: datetime) -> int:
    """Return the version that was the latest at a time.

    Raises PreflightError if there was none yet, and ValueError for a time without a time zone.
    """
    if at.tzinfo is None:
        raise ValueError(f"a time must have a time zone, such as datetime.UTC, got {at}")
    times = times_of(history(uri))
    before = [version for version, time in times if time <= at]
    if not before:
        raise PreflightError(
            f"the time must be at or after {times[0][1]:%Y-%m-%d %H:%M:%SZ}, when "
            f"{redact_uri(uri)} was created, got {at:%Y-%m-%d %H:%M:%SZ}"
        )
    return before[-1]


def times_of(versions: Sequence[Version]) -> list[tuple[int, datetime]]:
    """Return version and time of each version, oldest first; times never decrease.

    Clocks of writers differ. After a commit by a clock that is ahead, later versions get its time
    until their own clocks have caught up.
    """
    oldest_first = versions[::-1]
    times = itertools.accumulate((version.at for version in oldest_first), max)
    return [(v.version, time) for v, time in zip(oldest_first, times, strict=True)]


def check_version(uri: str, version: int) -> None:
    """Raise PreflightError if the version does not exist or its files have been vacuumed."""
    videos = open_table(uri, VIDEOS)
    oldest, latest = oldest_version(videos), videos.version()
    if not 0 <= version <= latest:
        raise PreflightError(
            f"the version of {redact_uri(uri)} must be in [{oldest}, {latest}], got {version}"
        )
    if version < oldest:
        raise PreflightError(
            f"the version of {redact_uri(uri)} must be in [{oldest}, {latest}], "
            f"got {version}, whose files have been vacuumed"
        )


def restore(uri: str, version: int) -> int:
    """Commit a new version with the content of an earlier one; returns its number."""
    check_version(uri, version)
    target = snapshot_at(uri, version)

    def transaction(snapshot: Snapshot) -> Transaction:
        if any(target.table(n).schema() != snapshot.table(n).schema() for n in (VIDEOS, MASKLETS)):
            raise PreflightError(
                f"the version must have the columns of the latest one, got {version}, which "
                "is from before an upgrade; it can be read but not restored"
            )
        return Transaction(
            operation="restore",
            videos=actions_between(snapshot.videos, target.videos),
            masklets=actions_between(snapshot.masklets, target.masklets),
            notes={"restored_version": version},
        )

    return commit(uri, transaction)


def grouped(versions: Sequence[Version]) -> Iterator[list[Version]]:
    """Group successive versions that one run committed."""
    for _, group in itertools.groupby(versions, lambda v: (v.operation, v.run_id or v.version)):
        yield list(group)


def _version(entry: Mapping[str, Any]) -> Version:
    return Version(
        version=entry["version"],
        at=datetime.fromtimestamp(entry["timestamp"] / 1000, UTC),
        # delta-rs commits `CREATE TABLE`, `VACUUM START` and `VACUUM END` by itself. Our own
        # operations are under the key "step" since the first datasets.
        operation=entry.get("step") or entry["operation"].split()[0].lower(),
        by=entry.get("by") or "",
        run_id=entry.get("run_id"),
        notes={name: value for name, value in entry.items() if name not in _NOT_NOTES},
    )
