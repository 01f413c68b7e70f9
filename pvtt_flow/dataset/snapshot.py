"""Snapshot: both tables of a dataset at versions that belong together."""

from collections.abc import Collection
from dataclasses import dataclass

import pyarrow.dataset as ds
from deltalake import DeltaTable

from pvtt_flow.dataset.delta import open_table
from pvtt_flow.dataset.file_actions import files_of
from pvtt_flow.dataset.scan import scan
from pvtt_flow.dataset.tables import MASKLETS, VIDEOS


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Logs of both tables at one version of the dataset; transactions build on it."""

    uri: str
    videos: DeltaTable
    masklets: DeltaTable

    @property
    def version(self) -> int:
        """Version of the dataset."""
        return int(self.videos.version())

    def table(self, name: str) -> DeltaTable:
        """Return the log of `videos` or `masklets`."""
        return self.videos if name == VIDEOS else self.masklets

    def scan_videos(self, bounded: Collection[str] | None = None) -> ds.FileSystemDataset:
        """Return the rows of `videos`, one for each input; `bounded` is that of `scan`."""
        return scan(self.videos, f"{self.uri}/{VIDEOS}", bounded)

    def scan_masklets(self, bounded: Collection[str] | None = None) -> ds.FileSystemDataset:
        """Return the rows of `masklets`; `bounded` is that of `scan`."""
        return scan(self.masklets, f"{self.uri}/{MASKLETS}", bounded)

    def num_files(self) -> int:
        """Count the files of both tables."""
        return len(files_of(self.videos)) + len(files_of(self.masklets))


def snapshot_at(uri: str, version: int | None = None) -> Snapshot:
    """Open both tables at a version of the dataset, or at the latest; raises PreflightError."""
    videos = open_table(uri, VIDEOS, version)
    return Snapshot(uri, videos, open_table(uri, MASKLETS, masklets_version(videos)))


def masklets_version(videos: DeltaTable) -> int:
    """Return the version of `masklets` that belongs to `videos`; 0, the empty table, at first."""
    return int(videos.transaction_version(MASKLETS) or 0)
