"""Compare a version of a dataset with an earlier one."""

from collections.abc import Mapping

from pvtt_flow.dataset.diff import diff, list_verdict_changes
from pvtt_flow.dataset.snapshot import Snapshot
from pvtt_flow.readers.counts import verdict_counts
from pvtt_flow.readers.snapshot import DatasetSnapshot
from pvtt_flow.report.content import ChangedMasklet, Comparison

MAX_CHANGED = 200
"""Masklets with another verdict that are listed."""


def compare(old: Snapshot, new: Snapshot) -> Comparison:
    """Say what changed; reads a few columns of both versions, and no masks."""
    found = diff(old, new, with_masks=False)
    changes = list_verdict_changes(old, new)
    before, after = _verdict_counts(old), _verdict_counts(new)
    return Comparison(
        version=old.version,
        verdicts={
            name: (before.get(name, 0), after.get(name, 0)) for name in sorted({*before, *after})
        },
        videos={
            "new": found.added,
            "removed": found.removed,
            "changed content": found.changed,
            "recomputed": found.recomputed,
        },
        statuses=_by_name(found.statuses),
        masklets={
            "added": found.num_masklets_added,
            "removed": found.num_masklets_removed,
            **_by_name(found.verdicts),
        },
        changed=tuple(
            ChangedMasklet(masklet_id=masklet_id, before=one, after=other)
            for masklet_id, (one, other) in list(changes.items())[:MAX_CHANGED]
        ),
        num_changed=len(changes),
    )


def _verdict_counts(snapshot: Snapshot) -> dict[str, int]:
    with DatasetSnapshot(snapshot, include_gone=True).duckdb() as db:
        return verdict_counts(db)


def _by_name(changes: Mapping[tuple[str, str], int]) -> dict[str, int]:
    return {f"{old} → {new}": count for (old, new), count in sorted(changes.items())}
