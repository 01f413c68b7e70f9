"""Command that lists the videos of a dataset."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from pvtt_flow.cli.options import DatasetUri, Json, known_values
from pvtt_flow.core.printable import printable

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from pvtt_flow.readers.snapshot import DatasetSnapshot

_COLUMNS = ("video_id", "status", "num_masklets", "uri")
_OF_MASKLETS = {
    "verdict": "list_contains($verdict, masklets.verdict)",
    "reason": "list_has_any(masklets.reasons, $reason)",
    "label": "list_contains($label, masklets.label)",
    "fit": "masklets.masklet_id IN (SELECT unnest($fit::VARCHAR[]))",
}
_ROWS_PER_FETCH = 10_000


@dataclass(frozen=True, slots=True)
class _Filter:
    """Conditions that must hold for a video and, together, for one of its masklets."""

    of_videos: Sequence[str]
    of_masklets: Sequence[str]
    values: Mapping[str, Sequence[str]]
    """Values of `$names` in them."""

    def sql(self, limit: int | None) -> str:
        """Return the statement that selects the videos, by uri."""
        from pvtt_flow.readers.condition import JOINED

        conditions = list(self.of_videos)
        if self.of_masklets:
            together = " AND ".join(self.of_masklets)
            matches = f"SELECT videos.video_id FROM {JOINED} WHERE {together}"  # noqa: S608
            conditions.append(f"video_id IN ({matches})")
        where = " AND ".join(conditions) or "true"
        first = "" if limit is None else f" LIMIT {limit}"
        columns = ", ".join(_COLUMNS)
        return f"SELECT {columns} FROM videos WHERE {where} ORDER BY uri, video_id{first}"  # noqa: S608


def list_videos(  # noqa: PLR0913, PLR0917
    dataset: DatasetUri,
    status: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Videos with this status; repeatable.")
    ] = None,
    verdict: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="With a masklet of this verdict; repeatable."),
    ] = None,
    reason: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="With a masklet for which this rule fired; repeatable."),
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="With a masklet of this label; repeatable."),
    ] = None,
    fit: Annotated[
        str | None,
        typer.Option(metavar="PROFILE", help="With a masklet that `fitness` finds fit for this."),
    ] = None,
    where: Annotated[
        str | None,
        typer.Option(
            metavar="SQL", help="Condition on the columns of the tables videos and masklets."
        ),
    ] = None,
    gone: Annotated[  # noqa: FBT002
        bool, typer.Option("--gone", help="Videos that are no longer in their input.")
    ] = False,
    limit: Annotated[
        int | None, typer.Option(min=0, help="List at most this many, the first by uri.")
    ] = None,
    as_json: Json = False,  # noqa: FBT002
) -> None:
    """List videos: id, status, number of masklets and uri.

    All options must match, those on masklets the same masklet. With --json, each line is an object.
    """
    from pvtt_flow import open_dataset
    from pvtt_flow.dataset.damage import naming_damage
    from pvtt_flow.readers.condition import as_condition, lock
    from pvtt_flow.types import Status, VerdictName

    names = {
        "status": known_values("--status", status, get_args(Status)),
        "verdict": known_values("--verdict", verdict, get_args(VerdictName)),
        "reason": reason or [],
        "label": label or [],
    }
    given = {name: values for name, values in names.items() if values}
    opened = open_dataset(dataset, include_gone=True)
    if fit is not None:
        given["fit"] = _fit_ids(opened, fit)
    files = opened.videos().get_fragments(), opened.masklets().get_fragments()
    with naming_damage(files[0]), naming_damage(files[1]), opened.duckdb() as db:
        lock(db)
        own = [] if where is None else [as_condition(db, where)]
        with _naming(where):
            _print(db, _filter(given, own, gone=gone), limit, as_json=as_json)


def _filter(given: Mapping[str, Sequence[str]], own: Sequence[str], *, gone: bool) -> _Filter:
    """Return the conditions on the names that were given, and the user's own one."""
    of_videos = ["list_contains($status, status)"] if "status" in given else []
    return _Filter(
        of_videos=[*of_videos, *(["gone_at_ns IS NOT NULL"] if gone else [])],
        of_masklets=[*(sql for name, sql in _OF_MASKLETS.items() if name in given), *own],
        values=given,
    )


def _fit_ids(opened: "DatasetSnapshot", profile: str) -> list[str]:
    """Return the ids of the masklets that are fit for a profile."""
    from pvtt_flow.export.profiles import load_profile

    judged = opened.fitness(load_profile(profile))
    return [row.masklet_id for row in judged if row.fitness.verdict == "fit"]


@contextmanager
def _naming(where: str | None) -> Iterator[None]:
    """Turn an error of DuckDB about the values of rows into one about the condition."""
    import duckdb

    from pvtt_flow.readers.condition import refused

    try:
        yield
    except duckdb.DataError as error:
        if where is None:
            raise
        raise refused(where, error) from None


def _print(db: "DuckDBPyConnection", chosen: _Filter, limit: int | None, *, as_json: bool) -> None:
    """Print a line for each video: its fields with tabs between them, or JSON."""
    rows = db.execute(chosen.sql(limit), dict(chosen.values))
    while batch := rows.fetchmany(_ROWS_PER_FETCH):
        for row in batch:
            typer.echo(_json(row) if as_json else "\t".join(printable(str(cell)) for cell in row))


def _json(row: Sequence[Any]) -> str:
    return json.dumps(dict(zip(_COLUMNS, row, strict=True)))
