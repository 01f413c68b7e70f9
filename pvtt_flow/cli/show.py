"""Command that shows what a dataset holds: counts, or a list of its videos."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pvtt_flow.cli.options import DatasetUri, Json, console
from pvtt_flow.core.printable import printable

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from pvtt_flow.readers.snapshot import DatasetSnapshot

_VIDEO_COLUMNS = ("video_id", "status", "num_masklets", "uri")
_TOTALS = """
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
_MASKLET_COLUMNS = ("video_id", "verdict", "reasons")
# Older runs that were killed are in `history`.
_MAX_RUNS = 20
_ROWS_PER_FETCH = 10_000


def show(
    dataset: DatasetUri,
    videos: Annotated[  # noqa: FBT002
        bool, typer.Option("--videos", help="List id, status, masklets and uri of each video.")
    ] = False,
    status: Annotated[str | None, typer.Option(help="List videos with this status.")] = None,
    verdict: Annotated[
        str | None, typer.Option(help="List videos with a masklet of this verdict.")
    ] = None,
    reason: Annotated[
        str | None, typer.Option(help="List videos with a masklet for which this rule fired.")
    ] = None,
    gone: Annotated[  # noqa: FBT002
        bool, typer.Option("--gone", help="List videos that are no longer in their input.")
    ] = False,
    as_json: Json = False,  # noqa: FBT002
) -> None:
    """Print counts, verdicts and failures of a dataset.

    With an option that chooses videos, list them instead.
    """
    from pvtt_flow import open_dataset
    from pvtt_flow.dataset.damage import naming_damage

    opened = open_dataset(dataset, include_gone=True)
    filters = {
        "status = ?": status,
        "video_id IN (SELECT video_id FROM masklets WHERE verdict = ?)": verdict,
        "video_id IN (SELECT video_id FROM masklets WHERE list_contains(reasons, ?))": reason,
    }
    chosen = {sql: value for sql, value in filters.items() if value is not None}
    with (
        naming_damage(opened.videos().get_fragments()),
        naming_damage(opened.masklets().get_fragments(), _MASKLET_COLUMNS),
        opened.duckdb() as db,
    ):
        if videos or gone or chosen:
            _list_videos(db, chosen, gone=gone, as_json=as_json)
        else:
            _show_counts(db, opened, as_json=as_json)


def _list_videos(
    db: "DuckDBPyConnection", filters: dict[str, str], *, gone: bool, as_json: bool
) -> None:
    """Print a line for each video, by uri: its fields with tabs between them, or JSON."""
    where = " AND ".join((*filters, *(["gone_at_ns IS NOT NULL"] if gone else []))) or "true"
    sql = f"SELECT {', '.join(_VIDEO_COLUMNS)} FROM videos WHERE {where} ORDER BY uri"  # noqa: S608
    rows = db.execute(sql, list(filters.values()))
    while batch := rows.fetchmany(_ROWS_PER_FETCH):
        for row in batch:
            line = json.dumps(dict(zip(_VIDEO_COLUMNS, row, strict=True)))
            typer.echo(line if as_json else "\t".join(printable(str(value)) for value in row))


def _show_counts(db: "DuckDBPyConnection", opened: "DatasetSnapshot", *, as_json: bool) -> None:
    from pvtt_flow.dataset.queries import gone_ids
    from pvtt_flow.pipeline.run_record import latest_runs, statuses_of

    totals = db.execute(_TOTALS).fetchone() or ()
    statuses = statuses_of(opened.uri, latest_runs(opened.uri, _MAX_RUNS))
    counts: dict[str, Any] = {
        "version": opened.version,
        "totals": dict(zip(("videos", "shots", "frames", "bytes"), totals, strict=True)),
        "videos_gone": len(gone_ids(opened.videos())),
        "videos_by_status": dict(db.execute(_STATUSES).fetchall()),
        "masklets_by_verdict": dict(db.execute(_VERDICTS).fetchall()),
        "masklets_by_reason": dict(db.execute(_REASONS).fetchall()),
        "failures": list(_failures(db)),
        "runs_without_end": [run_id for run_id, s in statuses.items() if s == "running"],
    }
    if as_json:
        typer.echo(json.dumps(counts, indent=2))
    else:
        _print_counts(opened.uri, counts)


def _print_counts(uri: str, counts: dict[str, Any]) -> None:
    from pvtt_flow.cli.output import counts_table, failures_table, gone_notice

    out = console()
    out.print(counts_table(uri, counts["totals"]))
    out.print(counts_table("videos by status", counts["videos_by_status"]))
    if counts["videos_gone"]:
        out.print(gone_notice(counts["videos_gone"], uri), soft_wrap=True)
    out.print(counts_table("masklets by verdict", counts["masklets_by_verdict"]))
    if counts["masklets_by_reason"]:
        out.print(counts_table("masklets by reason", counts["masklets_by_reason"]))
    if counts["failures"]:
        out.print(failures_table(counts["failures"]))
    for run_id in counts["runs_without_end"]:
        out.print(f"run {run_id} has not ended: it is running, or was killed", soft_wrap=True)


def _failures(db: "DuckDBPyConnection") -> Iterator[dict[str, Any]]:
    for row in db.execute(_FAILURES).fetchall():
        yield dict(zip(("uri", "stage", "kind", "message"), row, strict=True))
