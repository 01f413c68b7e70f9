"""Command that shows what a dataset holds: counts, or all about one video."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pvtt_flow.cli.options import DatasetUri, Json, console, find_video, print_json
from pvtt_flow.errors import ConfigError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from pvtt_flow.readers.snapshot import DatasetSnapshot

_TOTALS = """
SELECT count(*) AS videos, sum(num_shots)::BIGINT AS shots, sum(num_frames)::BIGINT AS frames,
       sum(size_bytes)::BIGINT AS bytes
FROM videos
"""
_FAILURES = """
SELECT uri, failure_stage AS stage, failure_kind AS kind, failure_message AS message
FROM videos WHERE failure_kind IS NOT NULL ORDER BY uri LIMIT 50
"""
_MASKLET_COLUMNS = ("video_id", "verdict", "reasons")
# Older runs that were killed are in `history`.
_MAX_RUNS = 20


def _moved(context: typer.Context, _param: typer.CallbackParam, value: object) -> None:
    """Refuse the options by which `show` listed videos."""
    if value and not context.resilient_parsing:
        raise ConfigError("show has no options that choose videos; pvtt-flow list DATASET has them")


def show(
    dataset: DatasetUri,
    video: Annotated[
        str | None, typer.Argument(metavar="VIDEO", help="An id, or part of an id or uri.")
    ] = None,
    as_json: Json = False,  # noqa: FBT002
    _flag: Annotated[  # noqa: FBT002
        bool, typer.Option("--videos", "--gone", hidden=True, callback=_moved)
    ] = False,
    _value: Annotated[
        str | None,
        typer.Option("--status", "--verdict", "--reason", hidden=True, callback=_moved),
    ] = None,
) -> None:
    """Print what a dataset holds, or all about a video.

    Of a dataset: counts, verdicts and failures. Of a video: its status, facts, shots and masklets,
    where they come from, and which profiles they suit.
    """
    from pvtt_flow import open_dataset
    from pvtt_flow.dataset.damage import naming_damage

    opened = open_dataset(dataset, include_gone=True)
    if video is not None:
        from pvtt_flow.cli.video_facts import facts_of, print_facts

        facts = facts_of(opened, find_video(opened, video))
        if as_json:
            print_json(facts)
        else:
            print_facts(facts, console())
        return
    with (
        naming_damage(opened.videos().get_fragments()),
        naming_damage(opened.masklets().get_fragments(), _MASKLET_COLUMNS),
        opened.duckdb() as db,
    ):
        _show_counts(db, opened, as_json=as_json)


def _show_counts(db: "DuckDBPyConnection", opened: "DatasetSnapshot", *, as_json: bool) -> None:
    from pvtt_flow.dataset.queries import gone_ids
    from pvtt_flow.pipeline.run_record import latest_runs, statuses_of
    from pvtt_flow.readers.counts import reason_counts, status_counts, verdict_counts

    totals = db.execute(_TOTALS).fetchone() or ()
    statuses = statuses_of(opened.uri, latest_runs(opened.uri, _MAX_RUNS))
    counts: dict[str, Any] = {
        "version": opened.version,
        "totals": dict(zip(("videos", "shots", "frames", "bytes"), totals, strict=True)),
        "videos_gone": len(gone_ids(opened.videos())),
        "videos_by_status": status_counts(db),
        "masklets_by_verdict": verdict_counts(db),
        "masklets_by_reason": reason_counts(db),
        "failures": list(_failures(db)),
        "runs_without_end": [run_id for run_id, s in statuses.items() if s == "running"],
    }
    if as_json:
        print_json(counts)
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
