"""`pvtt-flow retry` and `clear`: what is to become of failed, gone or unwanted videos."""

from collections.abc import Callable, Sequence

from rich.console import Console

from pvtt_flow.dataset.dataset import Dataset
from pvtt_flow.dataset.maintenance.row_updates import clear, retry
from pvtt_flow.dataset.queries import find_videos, seals_where
from pvtt_flow.errors import ConfigError
from pvtt_flow.types import VideoRecord

_NUM_SHOWN = 5


def retry_videos(
    uri: str, videos: Sequence[str], kind: str | None, console: Console, *, every: bool
) -> None:
    """Of the named videos, or of all, those that failed (in one way)."""
    if not videos and kind is None and not every:
        raise ConfigError("retry: give VIDEO, --kind or --all")
    dataset = Dataset.existing(uri)
    failed = [
        record
        for record in _chosen(dataset, videos, lambda: seals_where(dataset, failed=True))
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
    chosen = _chosen(dataset, videos, lambda: seals_where(dataset, gone=True))
    if not chosen:
        console.print("no video is gone")
        return
    version = clear(dataset.uri, [record.video_id for record in chosen])
    num_masklets = sum(record.num_masklets for record in chosen)
    console.print(
        f"{len(chosen)} videos and their {num_masklets} masklets are forgotten; version {version} "
        f"(`pvtt-flow restore` has them back)"
    )


def _chosen(
    dataset: Dataset, names: Sequence[str], otherwise: Callable[[], list[VideoRecord]]
) -> list[VideoRecord]:
    if not names:
        return otherwise()
    chosen: dict[str, VideoRecord] = {}
    for name in names:
        found = find_videos(dataset, name)
        if len(found) != 1:
            ids = (
                ": " + ", ".join(record.video_id for record in found[:_NUM_SHOWN]) if found else ""
            )
            raise ConfigError(
                f"VIDEO: expected an id, or a part of one id or uri, but {name!r} fits "
                f"{len(found)} videos{ids}"
            )
        chosen[found[0].video_id] = found[0]
    return list(chosen.values())
