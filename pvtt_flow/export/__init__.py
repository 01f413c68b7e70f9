"""Exports of a dataset: masks, boxes and clips in the form that another program reads."""

from collections.abc import Sequence
from os import PathLike
from typing import TYPE_CHECKING, TypedDict, Unpack

if TYPE_CHECKING:
    from pvtt_flow.export.job import Exported, MapUnits, Watcher
    from pvtt_flow.export.selection import Query


class ExportOptions(TypedDict, total=False):
    """Options of an export, those of `pvtt-flow export`."""

    where: str | None
    """SQL condition on the columns of the tables `videos` and `masklets`."""
    verdicts: Sequence[str]
    """Verdicts to take; empty takes all."""
    fit: str | PathLike[str] | None
    """Profile for which masklets must be fit: a name or a YAML file."""
    split: str | None
    """Fractions as `train=0.9,val=0.1`, or the manifest column that names the split."""
    split_by: str | None
    """Manifest column whose values stay together."""
    version: int | None
    """Version of the dataset; null is the latest."""
    pictures: bool
    """False writes masks and boxes alone."""
    profile: str | PathLike[str] | None
    """Profile of the format `consumer`."""
    anonymous: bool
    """True reads videos in public buckets without credentials."""


def export(
    dataset_uri: str,
    format_name: str,
    to: str,
    *,
    watcher: "Watcher | None" = None,
    map_units: "MapUnits | None" = None,
    **options: Unpack[ExportOptions],
) -> "Exported":
    """Write masks, boxes and clips of a dataset; see `pvtt_flow.export_dataset`.

    `map_units` divides the work; the default is threads of this process.
    """
    from pvtt_flow import open_dataset
    from pvtt_flow.core.threads import map_in_threads
    from pvtt_flow.errors import ConfigError
    from pvtt_flow.export.formats import format_named
    from pvtt_flow.export.formats.format import FormatOptions
    from pvtt_flow.export.job import Request, Silent, interrupted_version, run_export
    from pvtt_flow.export.profiles import load_profile

    kind = format_named(format_name)
    version, profile = options.get("version"), options.get("profile")
    if kind.takes_profile != (profile is not None):
        rule = "be given with" if kind.takes_profile else "not be given with"
        raise ConfigError(f"--profile must {rule} --format {format_name}, got {profile}")
    if version is None:
        version = interrupted_version(to)
    query = _query(options, negatives=kind.negatives)
    dataset = open_dataset(dataset_uri, version)
    request = Request(
        dataset_uri=dataset.uri,
        version=dataset.version,
        format_name=format_name,
        options=FormatOptions(
            pictures=options.get("pictures", True),
            profile=None if profile is None else load_profile(profile),
        ),
        query=query,
    )
    return run_export(
        dataset,
        request,
        to,
        map_units or map_in_threads,
        watcher or Silent(),
        anonymous=options.get("anonymous", False),
    )


def _query(options: ExportOptions, *, negatives: bool) -> "Query":
    """Check the options of a query; raises ConfigError."""
    from pvtt_flow.errors import ConfigError
    from pvtt_flow.export.profiles import load_profile
    from pvtt_flow.export.selection import Query
    from pvtt_flow.export.split import parse_split

    split, split_by = options.get("split"), options.get("split_by")
    verdicts, fit = options.get("verdicts", ()), options.get("fit")
    if split is None and split_by is not None:
        raise ConfigError(f"--split-by must be with --split, got --split-by {split_by} alone")
    if unknown := sorted({*verdicts} - {"accept", "review", "reject"}):
        raise ConfigError(f"--verdict must be accept, review or reject, got {unknown[0]!r}")
    return Query(
        where=options.get("where"),
        verdicts=tuple(verdicts),
        fit=None if fit is None else load_profile(fit),
        split=None if split is None else parse_split(split, split_by),
        negatives=negatives,
    )
