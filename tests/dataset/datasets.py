"""Small datasets for these tests."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pvtt_flow import DatasetSnapshot, open_dataset
from pvtt_flow.dataset.arrow import from_table
from pvtt_flow.dataset.dataset import Dataset
from pvtt_flow.types import Masklet, VideoRecord
from tests.dataset.dataset_rows import masklet, video_record


def new_dataset(folder: Path) -> Dataset:
    """Create a dataset without rows."""
    made = Dataset(str(folder / "dataset"))
    made.ensure()
    return made


def publish(dataset: Dataset, *masklets: Masklet, run_id: str = "r1", **changes: Any) -> int:
    """Write and commit masklets with a record for each of their videos; returns the version."""
    files = dataset.write_masklets(masklets)
    videos = dict.fromkeys(m.video_id for m in masklets)
    records = [video_record(video, run_id=run_id, **changes) for video in videos]
    expected_run_ids = {
        known.video_id: known.run_id for known in dataset.ledger().entries(videos) if known
    }
    return dataset.commit(files, records, run_id=run_id, expected_run_ids=expected_run_ids).version


def publish_videos(dataset: Dataset, names: Iterable[str], **changes: Any) -> int:
    """Commit a masklet and a record for each name."""
    return publish(dataset, *(masklet(name) for name in names), **changes)


def masklets_of(dataset: Dataset | DatasetSnapshot) -> list[Masklet]:
    """All rows of the latest version or of a snapshot, by id."""
    rows = from_table(Masklet, _snapshot_of(dataset).masklets().to_table())
    return sorted(rows, key=lambda row: row.masklet_id)


def videos_of(dataset: Dataset | DatasetSnapshot) -> dict[str, VideoRecord]:
    """All rows of the latest version or of a snapshot, by video."""
    rows = from_table(VideoRecord, _snapshot_of(dataset).videos().to_table())
    return {row.video_id: row for row in rows}


def _snapshot_of(dataset: Dataset | DatasetSnapshot) -> DatasetSnapshot:
    return open_dataset(dataset.uri, include_gone=True) if isinstance(dataset, Dataset) else dataset
