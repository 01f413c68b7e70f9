"""What a run has to do: every input beside what the dataset already holds, with a reason each."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Literal, get_args

from pvtt_flow.core.ids import hash_of
from pvtt_flow.data import Lineage, Source
from pvtt_flow.storage.ledger import LedgerEntry

Reason = Literal["new", "changed", "stale", "failed", "quarantined", "unchanged"]
TODO: tuple[Reason, ...] = ("new", "changed", "stale", "failed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """One input and why it is, or is not, to be processed."""

    source: Source
    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Every input, in the order of the listing."""

    videos: tuple[Planned, ...]

    @property
    def todo(self) -> tuple[Source, ...]:
        """What is to be processed."""
        return tuple(v.source for v in self.videos if v.reason in TODO)

    @property
    def counts(self) -> dict[Reason, int]:
        """Videos by reason; every reason has its number."""
        counted = Counter(v.reason for v in self.videos)
        return {reason: counted[reason] for reason in get_args(Reason)}


def make_plan(
    sources: Sequence[Source],
    ledger: Mapping[str, LedgerEntry],
    lineage: Lineage,
    *,
    max_attempts: int,
    limit: int | None = None,
) -> Plan:
    """Anti-join of the listing with the ledger; `limit` keeps the first so many to do."""
    planned = [_place(s, ledger.get(s.video_id), lineage, max_attempts) for s in sources]
    if limit is not None:
        todo = [p.source.video_id for p in planned if p.reason in TODO]
        dropped = set(todo[limit:])
        planned = [p for p in planned if p.source.video_id not in dropped]
    return Plan(videos=tuple(planned))


def work_key(source: Source, lineage: Lineage) -> str:
    """Same key, same results: content, manifest prompts, result-changing config, both weights."""
    return hash_of(
        {
            "etag": source.etag,
            "size_bytes": source.size_bytes,
            "prompts": [asdict(p) for p in source.prompts],
            "config": lineage.config_hash,
            "detector": lineage.detector_hash,
            "tracker": lineage.tracker_hash,
        }
    )


def _place(
    source: Source, entry: LedgerEntry | None, lineage: Lineage, max_attempts: int
) -> Planned:
    source = replace(source, work_key=work_key(source, lineage))
    if entry is None:
        return Planned(source=source, reason="new")
    if entry.etag != source.etag or entry.size_bytes != source.size_bytes:
        return Planned(source=source, reason="changed")
    if entry.work_key != source.work_key:
        return Planned(source=source, reason="stale")
    if entry.status not in ("failed", "quarantined"):
        return Planned(source=source, reason="unchanged")
    source = replace(source, attempts=entry.attempts)
    out = entry.attempts >= max_attempts
    return Planned(source=source, reason="quarantined" if out else "failed")
