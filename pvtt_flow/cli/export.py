"""Command that exports a dataset to the formats that other programs read."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pvtt_flow.cli.exit_codes import ExitCode
from pvtt_flow.cli.options import DatasetUri, Json, console, print_json
from pvtt_flow.core.printable import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

    from pvtt_flow.export.job import Exported, Watcher
    from pvtt_flow.export.unit import UnitRecord

_LOG = logging.getLogger("pvtt_flow")
_MAX_LISTED = 20


def export(  # noqa: PLR0913, PLR0917
    dataset: DatasetUri,
    format_name: Annotated[
        str, typer.Option("--format", metavar="NAME", help="`pvtt-flow formats` lists them.")
    ],
    to: Annotated[str, typer.Option(metavar="URI", help="An empty folder, local or in a bucket.")],
    where: Annotated[
        str | None,
        typer.Option(
            metavar="SQL", help="Condition on the columns of the tables videos and masklets."
        ),
    ] = None,
    verdict: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Only masklets with this verdict; repeatable."),
    ] = None,
    fit: Annotated[
        str | None,
        typer.Option(metavar="PROFILE", help="Only masklets that `fitness` finds fit for it."),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(
            metavar="SPLIT", help="`train=0.9,val=0.1`, or the manifest column that names it."
        ),
    ] = None,
    split_by: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Manifest column whose values stay together."),
    ] = None,
    version: Annotated[
        int | None, typer.Option(help="Version of the dataset; default: the latest.")
    ] = None,
    pictures: Annotated[  # noqa: FBT002
        bool, typer.Option("--pictures/--no-pictures", help="Write frames beside the masks.")
    ] = True,
    profile: Annotated[
        str | None,
        typer.Option(metavar="PROFILE", help="Consumer for --format consumer; see `profiles`."),
    ] = None,
    anonymous: Annotated[  # noqa: FBT002
        bool,
        typer.Option("--anonymous", help="Read videos in public buckets without credentials."),
    ] = False,
) -> None:
    """Write masks, boxes and clips for another program.

    An export that was interrupted goes on with the same command. Exits with 1 if videos had to be
    skipped. Runs on the Ray cluster at $RAY_ADDRESS, if there is one.
    """
    from pvtt_flow import export_dataset

    out = console()
    with _watcher(out) as watcher:
        exported = export_dataset(
            dataset,
            format_name,
            to,
            where=where,
            verdicts=verdict or (),
            fit=fit,
            split=split,
            split_by=split_by,
            version=version,
            pictures=pictures,
            profile=profile,
            anonymous=anonymous,
            watcher=watcher,
        )
    _print(exported, out)
    if exported.skipped:
        raise typer.Exit(ExitCode.BAD)


def validate(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="A bundle, or an export with --format consumer.")
    ],
    profile: Annotated[
        str, typer.Option(metavar="PROFILE", help="A name of `profiles`, or a .yaml file.")
    ],
    as_json: Json = False,  # noqa: FBT002
) -> None:
    """Decode bundles as their consumer does, and print problems.

    Exits with 1 if there are problems.
    """
    from pvtt_flow.export.formats.consumer.validation import bundles_in, validate_bundle
    from pvtt_flow.export.profiles import load_profile

    rule, bundles = load_profile(profile), bundles_in(folder)
    problems = {str(home): list(validate_bundle(home, rule)) for home in bundles}
    if as_json:
        rows = [{"bundle": home, "problems": found} for home, found in problems.items()]
        print_json({"profile": rule.name, "bundles": rows})
    for line in (f"{home}: {text}" for home, found in problems.items() for text in found):
        if not as_json:
            typer.echo(printable(line))
    if any(problems.values()):
        raise typer.Exit(ExitCode.BAD)
    if not as_json:
        typer.echo(f"bundles that are valid for {rule.name}: {len(bundles)}")


def formats(as_json: Json = False) -> None:  # noqa: FBT002
    """List the formats of `export`."""
    from rich.table import Table

    from pvtt_flow.export.formats import FORMATS

    if as_json:
        print_json([{"name": name, "summary": f.summary} for name, f in sorted(FORMATS.items())])
        return
    table = Table(show_header=False)
    for name, kind in sorted(FORMATS.items()):
        table.add_row(name, kind.summary)
    console().print(table)


@contextmanager
def _watcher(out: "Console") -> Iterator["Watcher"]:
    """Yield a bar for a terminal, else a logger."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    if not out.is_terminal:
        yield _LogWatcher()
        return
    columns = (
        TextColumn("[bold]sequences"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[detail]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=out) as progress:
        yield _BarWatcher(progress)


class _BarWatcher:
    """Progress bar that counts sequences."""

    def __init__(self, progress: "Progress") -> None:
        self._progress = progress
        self._task = progress.add_task("sequences", total=None, detail="")
        self._num_frames = 0

    def planned(self, num_sequences: int, num_done: int) -> None:
        """Set the numbers."""
        self._progress.update(self._task, total=num_sequences, completed=num_done)

    def finished(self, record: "UnitRecord") -> None:
        """Advance the bar."""
        self._num_frames += _num_frames(record)
        self._progress.update(
            self._task,
            advance=record.num_sequences,
            detail=f"{self._num_frames} frames",
        )


class _LogWatcher:
    """Log lines: the start, each tenth of the sequences, and what is skipped or left out."""

    def __init__(self) -> None:
        self._total = 0
        self._num_done = 0
        self._num_frames = 0

    def planned(self, num_sequences: int, num_done: int) -> None:
        """Log the numbers."""
        self._total, self._num_done = num_sequences, num_done
        _LOG.info("export: %d sequences, %d written before", num_sequences, num_done)

    def finished(self, record: "UnitRecord") -> None:
        """Log how far it is, and what was skipped and left out."""
        before = 10 * self._num_done // self._total
        self._num_done += record.num_sequences
        self._num_frames += _num_frames(record)
        if 10 * self._num_done // self._total > before:
            _LOG.info(
                "export: %d of %d sequences, %d frames",
                self._num_done,
                self._total,
                self._num_frames,
            )
        for skipped in record.skipped:
            _LOG.warning("skipped %s: %s", printable(skipped["sequence"]), skipped["message"])
        for unfit in record.unfit:
            _LOG.info("left out %s: %s", printable(unfit["masklet_id"]), unfit["message"])


def _num_frames(record: "UnitRecord") -> int:
    return sum(len(sequence["facts"]["frame_index"]) for sequence in record.written)


def _print(exported: "Exported", out: "Console") -> None:
    from pvtt_flow.cli.output import counts_table

    title = "already complete" if exported.was_complete else "exported"
    out.print(counts_table(title, exported.counts))
    for skipped in exported.skipped[:_MAX_LISTED]:
        line = f"skipped {skipped['sequence']}: {skipped['kind']}: {skipped['message']}"
        out.print(printable(line), style="red", soft_wrap=True)
    for unfit in exported.unfit[:_MAX_LISTED]:
        line = f"left out {unfit['masklet_id']}: {unfit['message']}"
        out.print(printable(line), soft_wrap=True)
    if exported.unfit:
        out.print(f"{len(exported.unfit)} masklets are unfit; see unfit in export.json")
    if exported.skipped:
        out.print(f"{len(exported.skipped)} sequences were skipped; see skipped in export.json")
    out.print(f"export: {exported.uri}", soft_wrap=True)
