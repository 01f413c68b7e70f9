"""The versions of a dataset: who made them, when, and how to have one again."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pvtt_flow.dataset.delta import open_table
from pvtt_flow.dataset.file_actions import between
from pvtt_flow.dataset.tables import KEY, VIDEOS
from pvtt_flow.dataset.transactions import Base, Step, advance, base_of, oldest_version
from pvtt_flow.errors import PreflightError
from pvtt_flow.storage.uris import redact_uri

# What delta-rs writes, and what is only for the machine.
_NOT_NOTES = {"timestamp", "operation", "operationParameters", "operationMetrics", "engineInfo",
              "clientVersion", "version", "readVersion", "isBlindAppend", "isolationLevel",
              "step", "by", "run_id", "commit_id", "masklets_version"}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One line of the history."""

    version: int
    at: datetime
    """When it was committed, by the clock of who did."""
    step: str
    """What made it: `run`, `judge`, `restore`, …"""
    by: str
    run_id: str | None
    notes: Mapping[str, Any]
    """Counts and settings, as the step gives them."""


def history(uri: str, limit: int | None = None) -> list[Version]:
    """The latest versions, the newest first."""
    return [_version(entry) for entry in open_table(uri, VIDEOS).history(limit)]


def version_at(uri: str, at: datetime) -> int:
    """The version that was the latest at a time.

    Raises PreflightError when there was none yet, ValueError for a time without a zone.
    """
    if at.tzinfo is None:
        raise ValueError(f"a time must have a zone, such as datetime.UTC, got {at}")
    times = times_of(history(uri))
    before = [version for version, time in times if time <= at]
    if not before:
        raise PreflightError(
            f"{KEY}: expected a time since {times[0][1]:%Y-%m-%d %H:%M:%SZ}, when "
            f"{redact_uri(uri)} was made, but got {at:%Y-%m-%d %H:%M:%SZ}"
        )
    return before[-1]


def times_of(versions: Sequence[Version]) -> list[tuple[int, datetime]]:
    """Since when each was the latest, the oldest first; none is older than those before it.

    Clocks differ, and nobody can tell which is right: after one that was ahead, the others' times
    count as its time until they have caught up.
    """
    oldest_first = versions[::-1]
    times = itertools.accumulate((version.at for version in oldest_first), max)
    return [(v.version, time) for v, time in zip(oldest_first, times, strict=True)]


def check_version(uri: str, version: int) -> None:
    """Raise PreflightError when there is no such version, or its files have been vacuumed."""
    videos = open_table(uri, VIDEOS)
    oldest, latest = oldest_version(videos), videos.version()
    if not 0 <= version <= latest:
        raise PreflightError(
            f"{KEY}: expected a version from {oldest} to {latest} of {redact_uri(uri)}, "
            f"but found none with number {version}"
        )
    if version < oldest:
        raise PreflightError(
            f"{KEY}: expected a version from {oldest} to {latest} of {redact_uri(uri)}, "
            f"but the files of {version} have been vacuumed"
        )


def restore(uri: str, version: int) -> int:
    """Make a new version that holds what an earlier one held; returns its number."""
    check_version(uri, version)
    target = base_of(uri, version)
    if target.videos.schema() != open_table(uri, VIDEOS).schema():
        raise PreflightError(
            f"{KEY}: expected a version with the columns of the latest one, but {version} is from "
            "before an upgrade: it can be read, not restored"
        )

    def step(base: Base) -> Step:
        return Step(
            name="restore",
            videos=between(base.videos, target.videos),
            masklets=between(base.masklets, target.masklets),
            notes={"restored_version": version},
        )

    return advance(uri, step)


def grouped(versions: Sequence[Version]) -> Iterator[list[Version]]:
    """Neighbours that one run has committed, together."""
    for _, group in itertools.groupby(versions, lambda v: (v.step, v.run_id or v.version)):
        yield list(group)


def _version(entry: Mapping[str, Any]) -> Version:
    return Version(
        version=entry["version"],
        at=datetime.fromtimestamp(entry["timestamp"] / 1000, UTC),
        # delta-rs makes a few by itself: `CREATE TABLE`, and `VACUUM START` and `END`.
        step=entry.get("step") or entry["operation"].split()[0].lower(),
        by=entry.get("by") or "",
        run_id=entry.get("run_id"),
        notes={name: value for name, value in entry.items() if name not in _NOT_NOTES},
    )
