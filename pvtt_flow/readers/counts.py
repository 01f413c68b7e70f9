"""Counts over all rows of a dataset, of the views `videos` and `masklets` of a connection."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_STATUSES = "SELECT status, count(*) FROM videos GROUP BY status ORDER BY status"
_VERDICTS = """
SELECT coalesce(verdict, 'none'), count(*) FROM masklets GROUP BY verdict ORDER BY verdict
"""
_REASONS = """
SELECT reason, count(*) AS n FROM (SELECT unnest(reasons) AS reason FROM masklets)
GROUP BY reason ORDER BY n DESC, reason
"""
_LABELS = "SELECT label, count(*) AS n FROM masklets GROUP BY label ORDER BY n DESC, label"


def status_counts(db: "DuckDBPyConnection") -> dict[str, int]:
    """Count videos by status."""
    return dict(db.execute(_STATUSES).fetchall())


def verdict_counts(db: "DuckDBPyConnection") -> dict[str, int]:
    """Count masklets by verdict; those that were not judged are `none`."""
    return dict(db.execute(_VERDICTS).fetchall())


def reason_counts(db: "DuckDBPyConnection") -> dict[str, int]:
    """Count masklets by the reasons of their verdicts, the most frequent first."""
    return dict(db.execute(_REASONS).fetchall())


def label_counts(db: "DuckDBPyConnection") -> dict[str, int]:
    """Count masklets by label, the most frequent first."""
    return dict(db.execute(_LABELS).fetchall())
