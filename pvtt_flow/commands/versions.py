"""`pvtt-flow history`, `diff` and `restore`: the versions of a dataset."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table

from pvtt_flow.console.tables import counts_table
from pvtt_flow.dataset.dataset import Dataset
from pvtt_flow.dataset.diff import diff
from pvtt_flow.dataset.history import Version, grouped, history, restore, version_at

_NUM_URIS = 10


def show_history(uri: str, limit: int, console: Console) -> None:
    """Print one line a step; neighbouring commits of a run are one."""
    dataset = Dataset.existing(uri)
    table = Table(title=uri, title_justify="left")
    for column in ("version", "when (UTC)", "what", "by", "run", "counts"):
        table.add_column(column, overflow="fold")
    for versions in grouped(history(dataset.uri, limit)):
        table.add_row(*_line(versions))
    console.print(table)


def show_difference(uri: str, before: int, after: int, console: Console) -> None:
    """Print counts, the first uris of each kind, and what became of verdicts and masks."""
    for version in (before, after):
        Dataset.existing(uri, version)
    found = diff(Dataset.existing(uri).uri, before, after)
    groups = {
        "added": found.added,
        "removed": found.removed,
        "changed content": found.changed,
        "recomputed": found.recomputed,
    }
    title = f"videos, version {before} to {after}"
    console.print(counts_table(title, {name: len(uris) for name, uris in groups.items()}))
    for name, uris in groups.items():
        for shown in uris[:_NUM_URIS]:
            console.print(f"{name}: {shown}", soft_wrap=True)
        if len(uris) > _NUM_URIS:
            console.print(f"{name}: and {len(uris) - _NUM_URIS} more")
    masklets: dict[str, object] = {
        "added": found.num_masklets_added,
        "removed": found.num_masklets_removed,
        **_arrows(found.verdicts),
    }
    if found.mean_mask_iou is not None:
        masklets["mean mask IoU of what was recomputed"] = f"{found.mean_mask_iou:.4f}"
    console.print(counts_table("masklets", masklets))
    if found.statuses:
        console.print(counts_table("status of videos", _arrows(found.statuses)))


def restore_version(uri: str, version: int | None, at: datetime | None, console: Console) -> None:
    """Restore a version, or the one of a time in UTC."""
    dataset = Dataset.existing(uri)
    if at is not None:
        version = version_at(dataset.uri, at.replace(tzinfo=UTC))
    if version is not None:
        console.print(f"version {restore(dataset.uri, version)} holds what {version} held")


def _line(versions: Sequence[Version]) -> tuple[str, ...]:
    newest, oldest = versions[0], versions[-1]
    several = newest.version != oldest.version
    numbers = f"{oldest.version}-{newest.version}" if several else str(newest.version)
    counts: Counter[str] = Counter()
    for version in versions:
        counts.update({k: v for k, v in version.notes.items() if isinstance(v, int)})
    texts = {k: v for k, v in newest.notes.items() if not isinstance(v, int)}
    told = ", ".join(f"{k} {v}" for k, v in {**counts, **texts}.items() if v)
    return (
        numbers,
        f"{newest.at:%Y-%m-%d %H:%M:%S}",
        newest.operation,
        newest.by,
        newest.run_id or "",
        told,
    )


def _arrows(changes: Counter[tuple[str, str]]) -> dict[str, object]:
    return {f"{old} → {new}": n for (old, new), n in sorted(changes.items())}
