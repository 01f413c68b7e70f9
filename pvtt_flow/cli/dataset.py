"""Commands on the videos of a dataset: show, preview, judge, retry and clear."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pvtt_flow.cli.options import DatasetUri, console, find_video
from pvtt_flow.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pvtt_flow.readers.snapshot import DatasetSnapshot
    from pvtt_flow.types import VideoRecord

Videos = Annotated[
    list[str] | None, typer.Argument(metavar="[VIDEO]...", help="Ids, or parts of ids or uris.")
]
_VIDEO_LIST = "SELECT video_id, status, num_masklets, uri FROM videos ORDER BY uri"
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
_MASKLET_COLUMNS = ("verdict", "reasons")
# Older runs that were killed are in `history`.
_MAX_RUNS = 20
_ROWS_PER_FETCH = 10_000


def show(
    dataset: DatasetUri,
    videos: Annotated[  # noqa: FBT002
        bool, typer.Option("--videos", help="List id, status, masklets and uri of each video.")
    ] = False,
) -> None:
    """Print counts, verdicts and failures of a dataset."""
    if videos:
        _list_videos(dataset)
    else:
        _show_counts(dataset)


def preview(
    dataset: DatasetUri,
    video: Annotated[str, typer.Argument(metavar="VIDEO", help="An id, or part of an id or uri.")],
    out: Annotated[Path, typer.Option(help="Folder for the mp4 and the picture.")] = Path(
        "previews"
    ),
) -> None:
    """Draw the masks of one video into an mp4 and a contact sheet."""
    from pvtt_flow import open_dataset
    from pvtt_flow.cli.video_preview import write_video_preview

    opened = open_dataset(dataset, include_gone=True)
    write_video_preview(opened, find_video(opened, video), out, console())


def judge(
    dataset: DatasetUri,
    config: Annotated[
        Path | None,
        typer.Option(help="Config with the thresholds; default: those of the last verdicts."),
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="qc.KEY=VALUE", help="Override a threshold; repeatable."),
    ] = None,
) -> None:
    """Judge all masklets again by their stored measurements.

    Starts from the thresholds of the last run or `judge`, and prints those that are not defaults.
    Writes a new version of the dataset. Needs neither the videos nor a model.
    """
    from pvtt_flow.cli.output import changes_by_name, counts_table
    from pvtt_flow.cli.thresholds import as_text
    from pvtt_flow.config.loading import load, load_thresholds
    from pvtt_flow.core import qc
    from pvtt_flow.dataset.history import open_snapshot
    from pvtt_flow.dataset.maintenance.rejudge import rejudge
    from pvtt_flow.pipeline.thresholds import differences, thresholds_in_use

    changed_keys, uri, defaults = overrides or [], open_snapshot(dataset).uri, qc.QcThresholds()
    in_use = thresholds_in_use(uri)
    thresholds = (
        load_thresholds(changed_keys, in_use[0] if in_use else defaults)
        if config is None
        else load(config, changed_keys).qc
    )
    rejudged = rejudge(
        uri,
        lambda measurements: qc.judge(measurements, thresholds),
        {"thresholds": thresholds.model_dump(exclude_defaults=True)},
        always=in_use != [thresholds],
    )
    others = as_text(differences(thresholds, defaults))
    console().print(f"thresholds: {others or 'the defaults'}", soft_wrap=True)
    changes = changes_by_name(rejudged.changes) or {"none": 0}
    console().print(counts_table("verdicts changed", changes))
    console().print(f"{rejudged.num_masklets} masklets judged; version {rejudged.version}")


def retry(
    dataset: DatasetUri,
    videos: Videos = None,
    kind: Annotated[
        str | None, typer.Option(help="Videos that failed in this way, for example unreadable.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every failed video.")] = False,  # noqa: FBT002
) -> None:
    """Let the next run process failed videos again.

    Failed and quarantined videos get all their attempts back.
    """
    from pvtt_flow import open_dataset
    from pvtt_flow.dataset.maintenance import row_updates
    from pvtt_flow.dataset.queries import list_failed_or_gone_videos

    if not videos and kind is None and not every:
        raise ConfigError("retry must have VIDEO, --kind or --all, got none of them")
    opened = open_dataset(dataset, include_gone=True)
    records = _named_videos(opened, videos or []) or list_failed_or_gone_videos(
        opened.videos(), failed=True
    )
    failed = [r for r in records if r.failure_kind is not None and kind in (None, r.failure_kind)]
    if not failed:
        console().print("no failed video matches")
        return
    version = row_updates.retry(opened.uri, [record.video_id for record in failed])
    console().print(f"{len(failed)} videos will be processed again; version {version}")


def clear(
    dataset: DatasetUri,
    videos: Videos = None,
    gone: Annotated[  # noqa: FBT002
        bool, typer.Option("--gone", help="Every video that is no longer in its input.")
    ] = False,
) -> None:
    """Delete videos and their masklets from a dataset.

    The next run processes those that are still in its input again.
    """
    from pvtt_flow import open_dataset
    from pvtt_flow.dataset.maintenance import row_updates
    from pvtt_flow.dataset.queries import list_failed_or_gone_videos

    if bool(videos) == gone:
        raise ConfigError(
            f"clear must have either VIDEO or --gone, got {'both' if gone else 'neither'}"
        )
    opened = open_dataset(dataset, include_gone=True)
    records = _named_videos(opened, videos or []) or list_failed_or_gone_videos(
        opened.videos(), gone=True
    )
    if not records:
        console().print("no video is gone from its input")
        return
    version = row_updates.forget(opened.uri, [record.video_id for record in records])
    num_masklets = sum(record.num_masklets for record in records)
    console().print(
        f"{len(records)} videos and their {num_masklets} masklets deleted; version {version} "
        f"(undo with pvtt-flow restore {dataset} {version - 1})",
        soft_wrap=True,
    )


def _list_videos(uri: str) -> None:
    """Print a line for each video, by uri, with tabs between its fields."""
    from pvtt_flow import open_dataset
    from pvtt_flow.dataset.damage import naming_damage

    opened = open_dataset(uri, include_gone=True)
    with naming_damage(opened.videos().get_fragments()), opened.duckdb() as db:
        rows = db.execute(_VIDEO_LIST)
        while batch := rows.fetchmany(_ROWS_PER_FETCH):
            for row in batch:
                typer.echo("\t".join(map(str, row)))


def _show_counts(uri: str) -> None:
    from pvtt_flow import open_dataset
    from pvtt_flow.cli.output import counts_table, failures_table, gone_notice
    from pvtt_flow.dataset.damage import naming_damage
    from pvtt_flow.dataset.queries import gone_ids
    from pvtt_flow.pipeline.run_record import latest_runs, statuses_of

    out = console()
    opened = open_dataset(uri, include_gone=True)
    with (
        naming_damage(opened.videos().get_fragments()),
        naming_damage(opened.masklets().get_fragments(), _MASKLET_COLUMNS),
        opened.duckdb() as db,
    ):
        names = ("videos", "shots", "frames", "bytes")
        totals = db.execute(_TOTALS).fetchone() or ()
        out.print(counts_table(uri, dict(zip(names, totals, strict=True))))
        out.print(counts_table("videos by status", dict(db.execute(_STATUSES).fetchall())))
        if gone := gone_ids(opened.videos()):
            out.print(gone_notice(len(gone), uri), soft_wrap=True)
        out.print(counts_table("masklets by verdict", dict(db.execute(_VERDICTS).fetchall())))
        reasons = dict(db.execute(_REASONS).fetchall())
        if reasons:
            out.print(counts_table("masklets by reason", reasons))
        columns = ("uri", "stage", "kind", "message")
        failures = [
            dict(zip(columns, row, strict=True)) for row in db.execute(_FAILURES).fetchall()
        ]
        if failures:
            out.print(failures_table(failures))
    statuses = statuses_of(opened.uri, latest_runs(opened.uri, _MAX_RUNS))
    for run_id, status in statuses.items():
        if status == "running":
            out.print(f"run {run_id} has not ended: it is running, or was killed", soft_wrap=True)


def _named_videos(dataset: "DatasetSnapshot", names: "Sequence[str]") -> "list[VideoRecord]":
    """Return the videos with these names, each of them once."""
    records = [find_video(dataset, name) for name in names]
    return list({record.video_id: record for record in records}.values())
