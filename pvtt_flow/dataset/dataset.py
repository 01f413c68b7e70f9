"""Dataset for writing; `open_snapshot` in `history.py` opens one for reading."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pvtt_flow.dataset.columns import check_columns
from pvtt_flow.dataset.damage import DamagedFileError
from pvtt_flow.dataset.delta import make_tables, tables_exist
from pvtt_flow.dataset.ledger import Ledger, read_ledger
from pvtt_flow.dataset.maintenance.repair import repair
from pvtt_flow.dataset.readme import write_readme
from pvtt_flow.dataset.snapshot import snapshot_at
from pvtt_flow.dataset.tables import MASKLETS, MaskletFile, write_masklet_files
from pvtt_flow.dataset.transactions import commit
from pvtt_flow.dataset.upsert import VideoUpsert
from pvtt_flow.storage.files import check_writable
from pvtt_flow.storage.uris import normalize_uri
from pvtt_flow.types import Masklet, VideoRecord

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CommitResult:
    """Result of a commit of finished videos."""

    version: int
    """Version of the dataset that has them."""
    superseded: frozenset[str]
    """Ids of videos that another run finished first; its results stay."""


class Dataset:
    """Dataset at a local folder or in a bucket, for a run that writes to it.

    The constructor reads nothing. Methods raise PreflightError if the tables do not exist and
    StoreError if they cannot be written.
    """

    def __init__(self, uri: str) -> None:
        self.uri = normalize_uri(uri)

    def exists(self) -> bool:
        """Return whether both tables exist."""
        return tables_exist(self.uri)

    def ensure(self) -> None:
        """Create missing tables and the README.md beside them.

        Raises PreflightError if columns are of another version.
        """
        if not self.exists():
            write_readme(self.uri)  # first, so that no dataset lacks it
            make_tables(self.uri)
        check_columns(snapshot_at(self.uri))

    def check_writable(self) -> None:
        """Raise PreflightError or StoreError if the dataset's folder cannot be written."""
        check_writable(self.uri)

    def ledger(self) -> Ledger:
        """Read what planning needs to know about each video."""
        return read_ledger(snapshot_at(self.uri).scan_videos())

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
        unreadable: set[str] = set()
        while True:
            try:
                version = commit(self.uri, upsert.transaction)
            except DamagedFileError as error:
                if error.path in unreadable or error.path in {file.path for file in files}:
                    raise
                unreadable.add(error.path)
                self._repair(error)
            else:
                return CommitResult(version, upsert.superseded)

    def _repair(self, error: DamagedFileError) -> None:
        """Forget what was lost with a file: it must not block the results of other videos."""
        repaired = repair(self.uri, {error.table: {error.path}})
        _LOG.warning(
            "%s; the next run processes the %d videos again that lost rows with it (undo with "
            "pvtt-flow restore)",
            error,
            len(repaired.video_ids),
        )
