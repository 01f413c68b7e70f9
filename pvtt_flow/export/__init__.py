"""Exports of a dataset: masks, boxes and clips in the form that another program reads."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pvtt_flow.export.job import Exported, Watcher


def export(  # noqa: PLR0913
    dataset_uri: str,
    format_name: str,
    to: str,
    *,
    where: str | None = None,
    verdicts: Sequence[str] = (),
    split: str | None = None,
    split_by: str | None = None,
    version: int | None = None,
    pictures: bool = True,
    watcher: "Watcher | None" = None,
) -> "Exported":
    """Write masks, boxes and clips of a dataset in a format of `pvtt-flow formats`.

    `where` is an SQL condition on the columns of the tables `videos` and `masklets`. The options
    are those of `pvtt-flow export`. An export that was interrupted goes on with the same call.

    Raises ConfigError and PreflightError before anything is written, StoreError if `to` takes no
    more files.
    """
    from pvtt_flow import open_dataset
    from pvtt_flow.export.formats import format_named
    from pvtt_flow.export.formats.format import FormatOptions
    from pvtt_flow.export.job import Request, Silent, interrupted_version, run_export
    from pvtt_flow.export.selection import Query
    from pvtt_flow.export.split import parse_split
    from pvtt_flow.export.threads import map_in_threads

    options = FormatOptions(pictures=pictures)
    rule = None if split is None else parse_split(split, split_by)
    negatives = format_named(format_name).negatives
    if version is None:
        version = interrupted_version(to)
    dataset = open_dataset(dataset_uri, version)
    request = Request(
        dataset_uri=dataset.uri,
        version=dataset.version,
        format_name=format_name,
        options=options,
        query=Query(where=where, verdicts=tuple(verdicts), split=rule, negatives=negatives),
    )
    return run_export(dataset, request, to, map_in_threads, watcher or Silent())
