"""Rich tables of plans, runs and datasets."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from rich.table import Table

from pvtt_flow.core.printable import printable
from pvtt_flow.pipeline.pace import Pace
from pvtt_flow.pipeline.plan import Plan
from pvtt_flow.pipeline.summary import Summary
from pvtt_flow.storage.uris import uri_without_signature

_REASONS: Mapping[str, str] = {
    "new": "not in the dataset",
    "changed": "the content changed",
    "stale": "settings, weights or prompts changed; kept unless --include-stale",
    "failed": "failed before, attempts left",
    "quarantined": "failed too often; processed when its content changes, or after `retry`",
    "gone": "in the dataset, no longer in its input; marked, not deleted",
    "unchanged": "nothing to do",
}


def plan_table(plan: Plan, estimate: str) -> Table:
    """Make a table of videos by reason, with an estimate of what there is to process."""
    table = Table(title="plan", title_justify="left")
    table.add_column("reason")
    table.add_column("videos", justify="right")
    table.add_column("meaning", style="dim")
    for reason, count in plan.counts.items():
        details = ", ".join(f"{n} with {detail}" for detail, n in plan.details(reason).items())
        meaning = f"{_REASONS[reason]} ({details})" if details else _REASONS[reason]
        table.add_row(reason, str(count), meaning)
    table.add_section()
    table.add_row("to process", str(len(plan.to_process)), estimate)
    return table


def estimate_text(num_frames: int | None, pace: Pace | None) -> str:
    """Tell about how many frames there are, and how long a past run would take for them."""
    if num_frames is None:
        return ""
    frames = f"about {num_frames:,} frames"
    if pace is None or not num_frames:
        return frames
    how = f"{pace.frames_per_s:.3g} frames/s, as run {pace.run_id}"
    return f"{frames}, {_duration(num_frames / pace.frames_per_s)} at {how}"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def plan_rows(plan: Plan) -> Iterator[dict[str, str]]:
    """Yield reason, id, detail and uri of each video that is not unchanged, gone ones last."""
    for video in plan.videos:
        if video.reason != "unchanged":
            yield {
                "reason": video.reason,
                "video_id": video.source.video_id,
                "detail": video.detail,
                "uri": uri_without_signature(video.source.uri),
            }
    for entry in plan.gone:
        yield {"reason": "gone", "video_id": entry.video_id, "detail": "", "uri": entry.uri}


def summary_table(summary: Summary) -> Table:
    """Make a table of the counts of one run."""
    title = f"run {summary.run_id}"
    table = Table(title=title, title_justify="left", show_header=False, min_width=len(title))
    table.add_column("name")
    table.add_column("value", justify="right")
    table.add_row("videos", _with_parts(summary.num_videos, summary.statuses))
    table.add_row("shots", str(summary.num_shots))
    table.add_row("masklets", _with_parts(summary.num_masklets, summary.verdicts))
    table.add_row("failures", str(len(summary.failures)))
    table.add_row("frames", str(summary.num_frames))
    table.add_row("frames/s", f"{summary.frames_per_s:.1f} over {summary.wall_s:.0f} s")
    table.add_row(
        "slot utilization",
        f"{100 * summary.slot_utilization:.0f} % of {summary.max_concurrent_shots}",
    )
    if summary.num_superseded:
        table.add_row("finished first by another run", str(summary.num_superseded))
    return table


def failures_table(failures: Sequence[Mapping[str, object]]) -> Table:
    """Make a table of failed videos with their reasons."""
    table = Table(title="failed videos", title_justify="left")
    for column in ("uri", "stage", "kind", "message"):
        table.add_column(column, overflow="fold")
    for failure in failures:
        table.add_row(*(printable(str(failure[c])) for c in ("uri", "stage", "kind", "message")))
    return table


def counts_table(title: str, counts: Mapping[str, object]) -> Table:
    """Make a table of names and values."""
    table = Table(title=title, title_justify="left", show_header=False, min_width=len(title))
    table.add_column("name")
    table.add_column("value", justify="right")
    for name, value in counts.items():
        table.add_row(name, str(value))
    return table


def checkpoints_table(rows: Iterable[tuple[str, str, str, str, str]]) -> Table:
    """Make a table of checkpoints from their names, kinds, file names, licenses and places."""
    table = Table(title="checkpoints", title_justify="left")
    table.add_column("name", no_wrap=True)
    table.add_column("kind", no_wrap=True)
    table.add_column("file", no_wrap=True)
    table.add_column("license", no_wrap=True)
    table.add_column("where", overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


def gone_notice(num_videos: int, dataset: str) -> str:
    """Say what becomes of videos that are gone from their input."""
    return (
        f"{num_videos} videos are gone from their input: readers leave them out until they are "
        f"back, and their rows stay until pvtt-flow clear {dataset} --gone"
    )


def changes_by_name(changes: Mapping[tuple[str, str], int]) -> dict[str, object]:
    """Name counts of changes `old → new`, in order."""
    return {f"{old} → {new}": count for (old, new), count in sorted(changes.items())}


def changes_as_rows(changes: Mapping[tuple[str, str], int]) -> list[dict[str, object]]:
    """Return counts of changes as JSON has them, in order."""
    return [
        {"before": old, "after": new, "count": count}
        for (old, new), count in sorted(changes.items())
    ]


def _with_parts(total: int, parts: Mapping[str, int]) -> str:
    detail = ", ".join(f"{n} {name}" for name, n in sorted(parts.items()))
    return f"{total} ({detail})" if detail else str(total)
