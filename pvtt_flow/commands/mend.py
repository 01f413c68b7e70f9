"""`pvtt-flow retry` and `clear`: what is to become of failed, gone or unwanted videos."""

from collections.abc import Sequence

from rich.console import Console

from pvtt_flow.commands.find import find_video
from pvtt_flow.dataset.dataset import Dataset
from pvtt_flow.dataset.maintenance.row_updates import forget, retry
from pvtt_flow.dataset.queries import list_failed_or_gone_videos
from pvtt_flow.errors import ConfigError
from pvtt_flow.types import VideoRecord


def retry_videos(
    uri: str, videos: Sequence[str], kind: str | None, console: Console, *, every: bool
) -> None:
    """Of the named videos, or of all, those that failed (in one way)."""
    if not videos and kind is None and not every:
        raise ConfigError("retry: give VIDEO, --kind or --all")
    dataset = Dataset.existing(uri)
    failed = [
        record
        for record in _named(dataset, videos) or list_failed_or_gone_videos(dataset, failed=True)
        if record.failure_kind is not None and kind in (None, record.failure_kind)
    ]
    if not failed:
        console.print("no such video has failed")
        return
    version = retry(dataset.uri, [record.video_id for record in failed])
    console.print(f"{len(failed)} videos will be tried again; version {version}")


def clear_videos(uri: str, videos: Sequence[str], console: Console, *, gone: bool) -> None:
    """Forget the named videos, or all that are gone."""
    if bool(videos) == gone:
        raise ConfigError("clear: give either VIDEO or --gone")
    dataset = Dataset.existing(uri)
    chosen = _named(dataset, videos) or list_failed_or_gone_videos(dataset, gone=True)
    if not chosen:
        console.print("no video is gone")
        return
    version = forget(dataset.uri, [record.video_id for record in chosen])
    num_masklets = sum(record.num_masklets for record in chosen)
    console.print(
        f"{len(chosen)} videos and their {num_masklets} masklets are forgotten; version {version} "
        f"(`pvtt-flow restore` has them back)"
    )


def _named(dataset: Dataset, names: Sequence[str]) -> list[VideoRecord]:
    """Return the videos with these names, each of them once."""
    records = [find_video(dataset, name) for name in names]
    return list({record.video_id: record for record in records}.values())
