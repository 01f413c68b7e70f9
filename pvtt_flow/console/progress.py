"""How far a run is: a bar for people at a terminal, plain lines for a log."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from pvtt_flow.pipeline.plan import Plan
from pvtt_flow.pipeline.run import Watcher
from pvtt_flow.pipeline.summary import Summary
from pvtt_flow.types import VideoRecord

_LOG = logging.getLogger("pvtt_flow")
# A log of a run of days should have thousands of lines, not millions.
_LOG_INTERVAL_S = 5.0


@contextmanager
def watching(console: Console) -> Iterator[Watcher]:
    """The watcher that suits the console."""
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
    """A progress bar in videos."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("planning", total=None, detail="")

    def planned(self, plan: Plan) -> None:
        """See `Watcher`."""
        self._progress.update(self._task, description="videos", total=len(plan.to_process))

    def finished(self, record: VideoRecord, summary: Summary) -> None:
        """See `Watcher`."""
        if record.failure_kind is not None:
            self._progress.console.print(
                f"failed {record.uri}: {record.failure_kind}: {record.failure_message}",
                style="red",
                highlight=False,
            )
        self._progress.update(
            self._task, completed=summary.num_videos, detail=f"{summary.num_frames} frames"
        )


class LogWatcher:
    """Plain lines: the plan, every failure, and now and then how far it is."""

    def __init__(self) -> None:
        self._logged_at_s = time.monotonic()

    def planned(self, plan: Plan) -> None:
        """See `Watcher`."""
        counts = ", ".join(f"{n} {reason}" for reason, n in plan.counts.items() if n)
        _LOG.info("plan: %s", counts or "no videos")

    def finished(self, record: VideoRecord, summary: Summary) -> None:
        """See `Watcher`."""
        if record.failure_kind is not None:
            _LOG.warning(
                "failed %s: %s: %s",
                record.uri,
                record.failure_kind,
                record.failure_message,
            )
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
