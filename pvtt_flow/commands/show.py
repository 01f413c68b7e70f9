"""`pvtt-flow show`: what a dataset holds."""

import typer
from rich.console import Console

from pvtt_flow import open_dataset
from pvtt_flow.console.tables import counts_table, failures_table

_VIDEOS = """
SELECT count(*) AS videos, sum(num_shots)::BIGINT AS shots, sum(num_frames)::BIGINT AS frames,
       sum(size_bytes)::BIGINT AS bytes
FROM videos
"""
_STATUSES = "SELECT status, count(*) FROM videos GROUP BY status ORDER BY status"
_VERDICTS = """
SELECT coalesce(verdict, 'none'), count(*) FROM masklets GROUP BY verdict ORDER BY verdict
"""
_REASONS = """
SELECT reason, count(*) AS n FROM (SELECT unnest(reasons) AS reason FROM masklets)
GROUP BY reason ORDER BY n DESC, reason
"""
_FAILURES = """
SELECT uri, failure_stage AS stage, failure_kind AS kind, failure_message AS message
FROM videos WHERE failure_kind IS NOT NULL ORDER BY uri LIMIT 50
"""
_VIDEO_LIST = "SELECT video_id, status, num_masklets, uri FROM videos ORDER BY uri"
_ROWS_AT_ONCE = 10_000


def list_videos(uri: str) -> None:
    """Print a line for each video, by uri: id, status, number of masklets and uri, with tabs."""
    with open_dataset(uri).duckdb() as db:
        rows = db.execute(_VIDEO_LIST)
        while batch := rows.fetchmany(_ROWS_AT_ONCE):
            for row in batch:
                typer.echo("\t".join(map(str, row)))


def show_dataset(uri: str, console: Console) -> None:
    """Print counts, verdicts with their reasons, and failures."""
    dataset = open_dataset(uri)
    with dataset.duckdb() as db:
        names = ("videos", "shots", "frames", "bytes")
        totals = db.execute(_VIDEOS).fetchone() or ()
        console.print(counts_table(uri, dict(zip(names, totals, strict=True))))
        console.print(counts_table("videos by status", dict(db.execute(_STATUSES).fetchall())))
        console.print(counts_table("masklets by verdict", dict(db.execute(_VERDICTS).fetchall())))
        reasons = dict(db.execute(_REASONS).fetchall())
        if reasons:
            console.print(counts_table("masklets by reason", reasons))
        columns = ("uri", "stage", "kind", "message")
        failures = [dict(zip(columns, r, strict=True)) for r in db.execute(_FAILURES).fetchall()]
        if failures:
            console.print(failures_table(failures))
