"""Count the rows of a dataset, by columns."""

import shlex
from typing import TYPE_CHECKING

from pvtt_flow.readers.counts import label_counts, reason_counts, status_counts, verdict_counts
from pvtt_flow.report.content import FailureGroup, Totals
from pvtt_flow.storage.uris import redact_uri

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MAX_LABELS = 20
_TOTALS = """
SELECT count(*), coalesce(sum(num_shots), 0)::BIGINT, coalesce(sum(num_frames), 0)::BIGINT,
       coalesce(sum(size_bytes), 0)::BIGINT, coalesce(sum(duration_ns), 0)::DOUBLE / 1e9,
       coalesce(sum(inspect_s), 0), coalesce(sum(detect_s), 0), coalesce(sum(propagate_s), 0)
FROM videos
"""
_FAILURES = """
SELECT failure_stage, failure_kind, count(*) AS n, min(uri), arg_min(failure_message, uri)
FROM videos WHERE failure_kind IS NOT NULL GROUP BY ALL ORDER BY n DESC, failure_kind
"""


def count_totals(db: "DuckDBPyConnection", *, num_gone: int) -> Totals:
    """Count videos and masklets, by what became of them."""
    videos, shots, frames, size_bytes, seconds, *stages = db.execute(_TOTALS).fetchall()[0]
    inspect_s, detect_s, propagate_s = stages
    verdicts = verdict_counts(db)
    labels = label_counts(db)
    return Totals(
        videos=videos,
        shots=shots,
        frames=frames,
        size_bytes=size_bytes,
        seconds=seconds,
        masklets=sum(verdicts.values()),
        gone=num_gone,
        inspect_s=inspect_s,
        detect_s=detect_s,
        propagate_s=propagate_s,
        statuses=status_counts(db),
        verdicts=verdicts,
        reasons=reason_counts(db),
        labels=dict(list(labels.items())[:MAX_LABELS]),
        num_labels=len(labels),
    )


def group_failures(db: "DuckDBPyConnection", dataset: str) -> tuple[FailureGroup, ...]:
    """Group failed videos by stage and kind, the most frequent first."""
    return tuple(
        FailureGroup(
            stage=stage or "",
            kind=kind,
            count=count,
            uri=uri,
            message=message or "",
            retry=shlex.join(["pvtt-flow", "retry", redact_uri(dataset), "--kind", kind]),
        )
        for stage, kind, count, uri, message in db.execute(_FAILURES).fetchall()
    )
