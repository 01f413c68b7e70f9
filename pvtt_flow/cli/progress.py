"""Show the progress of a run: a bar at a terminal, plain lines in a log."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from pvtt_flow.core.printable import printable
from pvtt_flow.pipeline.plan import Plan
from pvtt_flow.pipeline.run import Watcher
from pvtt_flow.pipeline.summary import Summary
from pvtt_flow.types import VideoRecord

_LOG = logging.getLogger("pvtt_flow")
# A run may take days and millions of videos: its log should have thousands of lines.
_LOG_INTERVAL_S = 5.0


@contextmanager
def progress_watcher(console: Console) -> Iterator[Watcher]:
    """Yield a bar for a terminal, else a logger of plain lines."""
    if not console.is_terminal:
        yield LogWatcher()
        return
    columns = (
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[detail]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        yield BarWatcher(progress)


class BarWatcher:
    """Progress bar that counts videos."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("planning", total=None, detail="")

    def planned(self, plan: Plan) -> None:
        """Set the number of videos."""
        self._progress.update(self._task, description="videos", total=len(plan.to_process))

    def finished(self, record: VideoRecord, summary: Summary) -> None:
        """Advance the bar; print a failure."""
        if record.failure_kind is not None:
            self._progress.console.print(
                _failure(record),
                style="red",
                highlight=False,
            )
        self._progress.update(
            self._task, completed=summary.num_videos, detail=f"{summary.num_frames} frames"
        )

    def ended_early(self, summary: Summary) -> None:
        """Print what is committed."""
        self._progress.console.print(_committed(summary), highlight=False)


class LogWatcher:
    """Log lines: the plan, every failure, and the progress every few seconds."""

    def __init__(self) -> None:
        self._logged_at_s = time.monotonic()

    def planned(self, plan: Plan) -> None:
        """Log the plan."""
        counts = ", ".join(f"{n} {reason}" for reason, n in plan.counts.items() if n)
        _LOG.info("plan: %s", counts or "no videos")

    def finished(self, record: VideoRecord, summary: Summary) -> None:
        """Log a failure, and the progress at times."""
        if record.failure_kind is not None:
            _LOG.warning("%s", _failure(record))
        last = summary.num_videos == summary.num_planned
        if last or time.monotonic() - self._logged_at_s >= _LOG_INTERVAL_S:
            self._logged_at_s = time.monotonic()
            _LOG.info(
                "%d of %d videos, %d frames, %d failed",
                summary.num_videos,
                summary.num_planned,
                summary.num_frames,
                len(summary.failures),
            )

    def ended_early(self, summary: Summary) -> None:
        """Log what is committed."""
        _LOG.warning("%s", _committed(summary))


def _committed(summary: Summary) -> str:
    return (
        f"ended early: {summary.num_committed} of {summary.num_planned} videos are committed; "
        "the same command goes on with the rest"
    )


def _failure(record: VideoRecord) -> str:
    return printable(f"failed {record.uri}: {record.failure_kind}: {record.failure_message}")
