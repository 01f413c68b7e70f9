"""Dataset of two Delta tables, which are always read at versions that belong together.

The version of a dataset is that of its `videos` table, which names the version of `masklets` that
belongs to it (`transactions.py` has the protocol).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import pyarrow.dataset as ds

from pvtt_flow.dataset.delta import check_columns, make_tables, open_table, tables_exist
from pvtt_flow.dataset.file_actions import files_of
from pvtt_flow.dataset.history import check_version, version_at
from pvtt_flow.dataset.ledger import Ledger, read_ledger
from pvtt_flow.dataset.scan import scan
from pvtt_flow.dataset.tables import MASKLETS, VIDEOS, MaskletFile, write_masklet_files
from pvtt_flow.dataset.transactions import commit, snapshot_at
from pvtt_flow.dataset.upsert import VideoUpsert
from pvtt_flow.storage.files import check_writable
from pvtt_flow.storage.uris import normalize_uri
from pvtt_flow.types import Masklet, VideoRecord


@dataclass(frozen=True, slots=True)
class CommitResult:
    """Result of a commit of finished videos."""

    version: int
    """Version of the dataset that has them."""
    superseded: frozenset[str]
    """Ids of videos that another run finished first; its results stay."""


class Dataset:
    """Dataset at a local folder or in a bucket, at `version` or the latest.

    The constructor reads nothing. Methods raise PreflightError if the tables do not exist and
    StoreError if they cannot be written.
    """

    def __init__(self, uri: str, version: int | None = None) -> None:
        self.uri = normalize_uri(uri)
        self.version = version

    @classmethod
    def existing(
        cls, uri: str, version: int | None = None, *, at: datetime | None = None
    ) -> "Dataset":
        """Open a dataset that exists: at a version, as of a time, or at the latest version.

        Raises PreflightError if there is no dataset, no such version or no access, and ValueError
        for a time without a time zone, or for both a version and a time.
        """
        if version is not None and at is not None:
            raise ValueError(f"give a version or a time, not both, got {version} and {at}")
        dataset = cls(uri, version)
        dataset.check()
        if at is not None:
            dataset = cls(uri, version_at(dataset.uri, at))
            dataset.check()
        return dataset

    def exists(self) -> bool:
        """Return whether both tables exist."""
        return tables_exist(self.uri)

    def ensure(self) -> None:
        """Create missing tables; raise PreflightError if columns are of another version."""
        if not self.exists():
            make_tables(self.uri)
        check_columns(self.uri)

    def check_writable(self) -> None:
        """Raise StoreError if the dataset's folder cannot be written."""
        check_writable(self.uri)

    def check(self) -> None:
        """Raise PreflightError if the dataset or its version cannot be read."""
        tables_exist(self.uri)  # its errors say more about buckets than delta-rs does
        if self.version is None:
            open_table(self.uri, VIDEOS)
        else:
            check_version(self.uri, self.version)

    def latest(self) -> int:
        """Return the number of the latest version."""
        return int(open_table(self.uri, VIDEOS).version())

    def num_files(self) -> int:
        """Count the files of both tables."""
        snapshot = snapshot_at(self.uri, self.version)
        return len(files_of(snapshot.videos)) + len(files_of(snapshot.masklets))

    def ledger(self) -> Ledger:
        """Read what planning needs to know about each video."""
        return read_ledger(self.videos())

    def videos(self) -> ds.Dataset:
        """Return the `videos` table, with a row for each input."""
        return scan(open_table(self.uri, VIDEOS, self.version), f"{self.uri}/{VIDEOS}")

    def masklets(self) -> ds.Dataset:
        """Return the `masklets` table at the version that belongs to `videos`."""
        return scan(snapshot_at(self.uri, self.version).masklets, f"{self.uri}/{MASKLETS}")

    def write_masklets(self, masklets: Sequence[Masklet]) -> tuple[MaskletFile, ...]:
        """Write rows to files of the table, which no reader sees before a commit. For workers."""
        return write_masklet_files(f"{self.uri}/{MASKLETS}", masklets)

    def commit(
        self,
        files: Sequence[MaskletFile],
        records: Sequence[VideoRecord],
        *,
        run_id: str,
        expected_run_ids: Mapping[str, str | None] | None = None,
    ) -> CommitResult:
        """Commit videos: their rows and masklets replace all that the dataset had of them.

        `expected_run_ids` is explained at `VideoUpsert`. Raises ValueError if a file has rows of a
        video without a record, or if a video has two records.
        """
        upsert = VideoUpsert(self.uri, files, records, run_id, expected_run_ids or {})
        version = commit(self.uri, upsert.transaction)
        return CommitResult(version, upsert.superseded)
