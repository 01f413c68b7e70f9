"""Commands on the versions of a dataset: history, diff and restore."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from pvtt_flow.cli.options import DatasetUri, Json, console, print_json, report
from pvtt_flow.core.printable import printable
from pvtt_flow.errors import ConfigError

if TYPE_CHECKING:
    from pvtt_flow.dataset.diff import Difference
    from pvtt_flow.dataset.history import Version

_MAX_URIS = 10


def history(
    dataset: DatasetUri,
    limit: Annotated[int, typer.Option(min=1, help="Number of latest versions to read.")] = 100,
    as_json: Json = False,  # noqa: FBT002
) -> None:
    """Print the versions of a dataset: when, by whom, what changed.

    Neighboring commits of one run are one line of the table; --json has each of them.
    """
    from rich.table import Table

    from pvtt_flow.dataset.history import grouped, open_snapshot
    from pvtt_flow.dataset.history import history as versions_of
    from pvtt_flow.pipeline.run_record import statuses_of

    table = Table(title=dataset, title_justify="left")
    for column in ("version", "when (UTC)", "what", "details"):
        table.add_column(column, overflow="fold")
    uri = open_snapshot(dataset).uri
    found = versions_of(uri, limit)
    statuses = statuses_of(uri, {version.run_id for version in found if version.run_id})
    if as_json:
        print_json([_version_facts(version, statuses) for version in found])
        return
    for versions in grouped(found):
        table.add_row(*_history_row(versions, statuses))
    console().print(table)


def diff(
    dataset: DatasetUri,
    before: Annotated[int, typer.Argument(metavar="A", help="A version.")],
    after: Annotated[int, typer.Argument(metavar="B", help="A later version.")],
    as_json: Json = False,  # noqa: FBT002
) -> None:
    """Print what differs between two versions of a dataset."""
    from pvtt_flow.cli.output import changes_by_name, counts_table
    from pvtt_flow.dataset.diff import diff as compare
    from pvtt_flow.dataset.history import open_snapshot

    snapshots = open_snapshot(dataset, before), open_snapshot(dataset, after)
    difference = compare(*snapshots)
    if as_json:
        print_json({"before": before, "after": after, **_difference_facts(difference)})
        return
    out = console()
    groups = {
        "added": difference.added,
        "removed": difference.removed,
        "changed content": difference.changed,
        "recomputed": difference.recomputed,
    }
    title = f"videos, version {before} to {after}"
    out.print(counts_table(title, {name: len(uris) for name, uris in groups.items()}))
    for name, uris in groups.items():
        for uri in uris[:_MAX_URIS]:
            out.print(printable(f"{name}: {uri}"), soft_wrap=True)
        if len(uris) > _MAX_URIS:
            out.print(f"{name}: and {len(uris) - _MAX_URIS} more")
    masklets: dict[str, object] = {
        "added": difference.num_masklets_added,
        "removed": difference.num_masklets_removed,
        **changes_by_name(difference.verdicts),
    }
    if difference.mean_mask_iou is not None:
        masklets["mean mask IoU of recomputed masklets"] = f"{difference.mean_mask_iou:.4f}"
    out.print(counts_table("masklets", masklets))
    if difference.statuses:
        out.print(counts_table("status of videos", changes_by_name(difference.statuses)))


def restore(
    dataset: DatasetUri,
    version: Annotated[int | None, typer.Argument(help="A version of `history`.")] = None,
    at: Annotated[
        datetime | None, typer.Option(help="The version that was the latest at this time, UTC.")
    ] = None,
    as_json: Json = False,  # noqa: FBT002
) -> None:
    """Make an earlier version of a dataset the latest again."""
    from pvtt_flow.dataset.history import open_snapshot
    from pvtt_flow.dataset.history import restore as restore_version

    if (version is None) == (at is None):
        raise ConfigError(
            f"restore must have either VERSION or --at, got {'neither' if at is None else 'both'}"
        )
    latest = open_snapshot(dataset)
    if at is not None:
        version = open_snapshot(dataset, at=at.replace(tzinfo=UTC)).version
    if version is not None:
        restored = restore_version(latest.uri, version)
        sentence = f"version {restored} has the content of version {version}"
        report(sentence, {"version": restored, "restored_version": version}, as_json=as_json)


def _version_facts(version: "Version", statuses: "Mapping[str, str]") -> dict[str, object]:
    """Return a version as JSON has it; the status is that of its run."""
    status = statuses.get(version.run_id or "")
    return {**asdict(version), "at": version.at.isoformat(), "run_status": status}


def _difference_facts(difference: "Difference") -> dict[str, object]:
    from pvtt_flow.cli.output import changes_as_rows

    return {
        **asdict(difference),
        "statuses": changes_as_rows(difference.statuses),
        "verdicts": changes_as_rows(difference.verdicts),
    }


def _history_row(versions: "Sequence[Version]", statuses: "Mapping[str, str]") -> tuple[str, ...]:
    newest, oldest = versions[0], versions[-1]
    is_range = newest.version != oldest.version
    numbers = f"{oldest.version}-{newest.version}" if is_range else str(newest.version)
    counts: Counter[str] = Counter()
    for version in versions:
        counts.update({k: v for k, v in version.notes.items() if isinstance(v, int)})
    details = {
        "run": _run_name(newest.run_id or "", statuses),
        "by": newest.by,
        **{k: n for k, n in counts.items() if n or k.endswith("_version")},
        **{k: v for k, v in newest.notes.items() if isinstance(v, str)},
        **{f"qc.{k}": v for k, v in newest.notes.get("thresholds", {}).items()},
    }
    return (
        numbers,
        f"{newest.at:%Y-%m-%d %H:%M:%S}",
        newest.operation,
        "\n".join(f"{name} {value}" for name, value in details.items() if value != ""),
    )


def _run_name(run_id: str, statuses: "Mapping[str, str]") -> str:
    """Return the id of a run, with how it ended if it did not end well."""
    status = statuses.get(run_id, "ok")
    if status == "running":
        status = "running or killed"
    return run_id if status == "ok" else f"{run_id} ({status})"
