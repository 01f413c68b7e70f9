"""Plan of a run: which inputs are processed, and why, given what the dataset already has."""

import shlex
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from glob import has_magic
from typing import get_args

from pvtt_flow.config.schema import PlanReason, ProcessReason, RunParams
from pvtt_flow.core.ids import hash_of
from pvtt_flow.dataset.ledger import Ledger, LedgerEntry
from pvtt_flow.dataset.tables import bucket_of
from pvtt_flow.storage.manifest import is_manifest
from pvtt_flow.types import Lineage, Source

_REASONS: tuple[PlanReason, ...] = (*get_args(ProcessReason), "quarantined", "gone", "unchanged")


@dataclass(frozen=True, slots=True)
class Planned:
    """Input with the reason why it is or is not processed."""

    source: Source
    reason: PlanReason
    detail: str = ""
    """Basis of the reason, such as `other settings`; may be empty."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Inputs in the order of the listing, and videos that are gone from it."""

    videos: tuple[Planned, ...]
    process: frozenset[PlanReason]
    """Reasons for which videos are processed."""
    gone: tuple[LedgerEntry, ...] = ()
    """Videos of this input that are in the dataset and not in the listing."""
    returned: tuple[str, ...] = ()
    """Ids of videos that are marked as gone and are listed again."""
    renewed: tuple[Source, ...] = ()
    """Videos that are not processed and whose rows get a new etag or other attributes."""
    warning: str | None = None
    """Warning that the input may have moved."""

    @cached_property
    def to_process(self) -> tuple[Source, ...]:
        """Sources to process: first new ones in the order of the listing, then those that replace
        rows, in the order of the table, so that a commit rewrites few files."""
        to_process = (v.source for v in self.videos if v.reason in self.process)
        return tuple(sorted(to_process, key=_sort_key))

    @property
    def counts(self) -> dict[PlanReason, int]:
        """Number of videos for each reason, zeros included."""
        counted = Counter(v.reason for v in self.videos)
        return {reason: counted[reason] for reason in _REASONS} | {"gone": len(self.gone)}

    @property
    def newly_gone(self) -> tuple[str, ...]:
        """Ids of gone videos that are not marked as gone yet."""
        return tuple(entry.video_id for entry in self.gone if entry.gone_at_ns is None)

    def details(self, reason: PlanReason) -> dict[str, int]:
        """Return the number of videos for each detail of a reason, most frequent first."""
        counted = Counter(v.detail for v in self.videos if v.reason == reason and v.detail)
        return dict(counted.most_common())


def make_plan(
    sources: Sequence[Source],
    ledger: Ledger,
    lineage: Lineage,
    *,
    input_uri: str,
    params: RunParams,
    limit: int | None = None,
    touched: Collection[str] = (),
) -> Plan:
    """Compare the listing with the ledger (an anti-join); `limit` keeps the first videos to do.

    `touched` has the ids of videos with another etag and the same content.
    """
    ids = [source.video_id for source in sources]
    wanted: frozenset[PlanReason] = frozenset(params.process)
    returned: list[str] = []
    planned: list[Planned] = []
    renewed: list[Source] = []
    for listed, entry in zip(sources, ledger.entries(ids), strict=True):
        if entry is None:
            planned.append(_new(listed, lineage))
            continue
        is_touched = listed.video_id in touched
        has_new_attributes = listed.attributes not in (None, entry.attributes)
        source = replace(listed, attributes=listed.attributes or entry.attributes)
        video = _classify(source, entry, lineage, params.max_attempts, is_touched=is_touched)
        planned.append(video)
        if entry.gone_at_ns is not None:
            returned.append(source.video_id)
        if (is_touched or has_new_attributes) and video.reason not in wanted:
            renewed.append(replace(source, expected_run_id=entry.run_id))
    return Plan(
        videos=tuple(_limited(planned, wanted, limit)),
        process=wanted,
        gone=tuple(ledger.missing_from(input_uri, ids)),
        returned=tuple(returned),
        renewed=tuple(renewed),
        warning=_warn_if_moved(ids, ledger, input_uri),
    )


def _warn_if_moved(video_ids: Sequence[str], ledger: Ledger, input_uri: str) -> str | None:
    old_uri = ledger.most_frequent_input()
    if not len(ledger) or not video_ids or old_uri == input_uri or any(ledger.has(video_ids)):
        return None
    uris = (old_uri, input_uri)
    are_folders = all(uris) and not any(is_manifest(uri) or has_magic(uri) for uri in uris)
    prefixes = " ".join(map(shlex.quote, uris)) if are_folders else "OLD_PREFIX NEW_PREFIX"
    return (
        f"none of the {len(ledger)} videos of the dataset are in {input_uri}; if the videos have "
        f"moved, stop and run pvtt-flow relocate DATASET {prefixes}"
    )


def work_key(source: Source, lineage: Lineage) -> str:
    """Return the hash of everything that determines results: content, manifest, config, weights."""
    key = {
        "etag": source.etag,
        "size_bytes": source.size_bytes,
        "prompts": [asdict(p) for p in source.prompts],
        "shots": source.shots,
        "config": lineage.config_hash,
        "detector": lineage.detector_hash,
        "tracker": lineage.tracker_hash,
    }
    # Added later: without it the key is that of results from before.
    if source.add_products is not None:
        key["add_products"] = source.add_products
    return hash_of(key)


def _sort_key(source: Source) -> tuple[int, str]:
    if source.expected_run_id is None:
        return -1, ""
    return bucket_of(source.video_id), source.video_id


def _limited(
    planned: Sequence[Planned], wanted: Collection[PlanReason], limit: int | None
) -> Iterator[Planned]:
    left = len(planned) if limit is None else limit
    for video in planned:
        if video.reason not in wanted:
            yield video
        elif left > 0:
            left -= 1
            yield video


def _new(source: Source, lineage: Lineage) -> Planned:
    return Planned(replace(source, work_key=work_key(source, lineage)), "new")


def _classify(
    source: Source, entry: LedgerEntry, lineage: Lineage, max_attempts: int, *, is_touched: bool
) -> Planned:
    key = work_key(source, lineage)
    to_process = replace(source, work_key=key, expected_run_id=entry.run_id)
    has_same_etag = is_touched or entry.etag == source.etag
    if not has_same_etag or entry.size_bytes != source.size_bytes:
        return Planned(to_process, "changed")
    has_failed = entry.status in ("failed", "quarantined")
    processed = replace(source, etag=entry.processed_etag or entry.etag)
    if entry.work_key != work_key(processed, lineage):
        cause = _cause(entry, lineage)
        # A failed video has no results that could be stale, and other settings may succeed.
        reason: PlanReason = "failed" if has_failed else "stale"
        return Planned(to_process, reason, f"other {cause}")
    if not has_failed:
        return Planned(source, "unchanged", "touched or copied" if is_touched else "")
    tried = f"{entry.attempts} of {max_attempts} attempts"
    if entry.attempts >= max_attempts:
        return Planned(source, "quarantined", tried)
    return Planned(replace(to_process, attempts=entry.attempts), "failed", tried)


def _cause(entry: LedgerEntry, lineage: Lineage) -> str:
    """Return what has changed since the results were made."""
    changed = {
        "settings": entry.config_hash != lineage.config_hash,
        "detector weights": entry.detector_hash != lineage.detector_hash,
        "tracker weights": entry.tracker_hash != lineage.tracker_hash,
    }
    return " and ".join(name for name, has in changed.items() if has) or "prompts or shots"
