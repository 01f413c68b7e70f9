"""Command that writes a page about a dataset."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pvtt_flow.cli.options import DatasetUri, console
from pvtt_flow.errors import ConfigError

if TYPE_CHECKING:
    from pvtt_flow.dataset.snapshot import Snapshot
    from pvtt_flow.report.content import Run
    from pvtt_flow.report.make import Background

_MAX_RUNS = 20
# A page of years of versions still knows when its own was committed.
_MAX_VERSIONS = 1000


def report(
    dataset: DatasetUri,
    output: Annotated[Path, typer.Option(help="The page to write.")] = Path("report.html"),
    videos: Annotated[int, typer.Option(min=0, help="Show at most this many videos.")] = 40,
    seed: Annotated[int, typer.Option(help="Seed of the videos that are chosen at random.")] = 0,
    version: Annotated[int | None, typer.Option(help="A version; default: the latest.")] = None,
    pictures: Annotated[  # noqa: FBT002
        bool, typer.Option("--pictures/--no-pictures", help="Read the videos for film strips.")
    ] = True,
    against: Annotated[int | None, typer.Option(help="An earlier version to compare with.")] = None,
) -> None:
    """Write an HTML page about a dataset.

    Counts, distributions of measurements, failures, and film strips of a sample of videos. The page
    needs no network and no other file.
    """
    from pvtt_flow.dataset.history import open_snapshot
    from pvtt_flow.report.make import Request, make_report
    from pvtt_flow.report.render import render

    _check_output(output)
    snapshot = open_snapshot(dataset, version)
    if against is not None and against >= snapshot.version:
        raise ConfigError(
            f"--against must be a version before {snapshot.version}, got {against}; list versions "
            f"with pvtt-flow history {dataset}"
        )
    request = Request(
        num_videos=videos,
        seed=seed,
        with_pictures=pictures,
        against=None if against is None else open_snapshot(dataset, against),
    )
    with _progress() as on_card:
        page = render(make_report(snapshot, request, _background(snapshot), on_card))
    try:
        output.write_text(page, "utf-8")
    except OSError as error:
        raise ConfigError(f"--output must be a file that can be written, got {error}") from None
    console().print(f"report: {output}", soft_wrap=True)


def _check_output(output: Path) -> None:
    """Raise ConfigError before minutes of work whose page could not be written."""
    if output.is_dir():
        raise ConfigError(
            f"--output must be a file, got the folder {output}; name a file in it, such as "
            f"{output / 'report.html'}"
        )
    if not output.absolute().parent.is_dir():
        raise ConfigError(
            f"--output must be in a folder that exists, got {output}; make {output.parent} first"
        )


def _background(snapshot: "Snapshot") -> "Background":
    from pvtt_flow.dataset.history import history
    from pvtt_flow.export.profiles import shipped
    from pvtt_flow.pipeline.thresholds import thresholds_in_use
    from pvtt_flow.report.make import Background

    at = {version.version: version.at for version in history(snapshot.uri, _MAX_VERSIONS)}
    committed_at = at.get(snapshot.version)
    is_latest = snapshot.version >= max(at, default=0)
    return Background(
        made_at=datetime.now(UTC),
        committed_at=committed_at,
        runs=_runs(snapshot.uri, until=None if is_latest else committed_at),
        thresholds=thresholds_in_use(snapshot.uri),
        profiles=shipped(),
    )


def _runs(uri: str, until: datetime | None) -> "list[Run]":
    """Return the latest runs that began by then, latest first, as their records have them."""
    from pvtt_flow.pipeline.run_record import latest_runs, records_of
    from pvtt_flow.report.content import Run

    last = "" if until is None else f"{until:%Y%m%dT%H%M%SZ}~"
    run_ids = [run_id for run_id in latest_runs(uri, _MAX_RUNS) if not last or run_id <= last]
    records = records_of(uri, run_ids)
    runs = []
    for run_id in reversed(run_ids):
        if run_id in records:
            summary = records[run_id].get("summary", {})
            runs.append(
                Run(
                    run_id=run_id,
                    status=str(records[run_id].get("status", "")),
                    num_videos=int(summary.get("num_videos", 0)),
                    num_masklets=int(summary.get("num_masklets", 0)),
                    num_frames=int(summary.get("num_frames", 0)),
                    wall_s=float(summary.get("wall_s", 0)),
                    frames_per_s=float(records[run_id].get("frames_per_s", 0)),
                    slot_utilization=float(summary.get("slot_utilization", 0)),
                )
            )
    return runs


@contextmanager
def _progress() -> "Iterator[Callable[[int, int], None]]":
    """Yield a function that shows at a terminal how many videos have their pictures."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    out = console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=out, transient=True, disable=not out.is_terminal) as progress:
        task = progress.add_task("pictures", total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
