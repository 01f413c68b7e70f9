"""A dataset: two Delta tables that are always read at versions which belong together.

The version of a dataset is that of its `videos` table, which names the version of `masklets` that
goes with it (`chain.py` says how they move on). Masklets that no version names are never seen.
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
from pvtt_flow.dataset.transactions import advance, base_of
from pvtt_flow.dataset.upsert import Publication
from pvtt_flow.storage.files import check_writable
from pvtt_flow.storage.uris import normalize_uri
from pvtt_flow.types import Masklet, VideoRecord


@dataclass(frozen=True, slots=True)
class Committed:
    """What became of finished videos."""

    version: int
    """Of the dataset, which has them."""
    overtaken: frozenset[str]
    """Ids of those that another run had finished meanwhile; its results stay."""


class Dataset:
    """The dataset at a folder, local or in a bucket; as of `version`, or the latest.

    Making the object touches nothing. Methods raise PreflightError when the tables are not there,
    and StoreError when they cannot be written.
    """

    def __init__(self, uri: str, version: int | None = None) -> None:
        self.uri = normalize_uri(uri)
        self.version = version

    @classmethod
    def existing(
        cls, uri: str, version: int | None = None, *, at: datetime | None = None
    ) -> "Dataset":
        """One that is there: at a version, at the latest one at a time, or the latest.

        Raises PreflightError when there is none, or no access; ValueError for a time without a
        zone, or beside a version.
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
        """Whether both tables are there."""
        return tables_exist(self.uri)

    def ensure(self) -> None:
        """Create what is missing of the two tables; see that their columns are today's."""
        if not self.exists():
            make_tables(self.uri)
        check_columns(self.uri)

    def check_writable(self) -> None:
        """Raise StoreError when nothing can be written where the dataset is, or is to be."""
        check_writable(self.uri)

    def check(self) -> None:
        """Raise PreflightError when the dataset, or its version, is not there to be read."""
        tables_exist(self.uri)  # says more than delta-rs about buckets and credentials
        if self.version is None:
            open_table(self.uri, VIDEOS)
        else:
            check_version(self.uri, self.version)

    def latest(self) -> int:
        """The number of the latest version."""
        return int(open_table(self.uri, VIDEOS).version())

    def num_files(self) -> int:
        """Files that the two tables lie in."""
        base = base_of(self.uri, self.version)
        return len(files_of(base.videos)) + len(files_of(base.masklets))

    def ledger(self) -> Ledger:
        """What is known of each video."""
        return read_ledger(self.videos())

    def videos(self) -> ds.Dataset:
        """The `videos` table: a row for every input."""
        return scan(open_table(self.uri, VIDEOS, self.version), f"{self.uri}/{VIDEOS}")

    def masklets(self) -> ds.Dataset:
        """The `masklets` table as the same version of `videos` goes with it."""
        return scan(base_of(self.uri, self.version).masklets, f"{self.uri}/{MASKLETS}")

    def write_masklets(self, masklets: Sequence[Masklet]) -> tuple[MaskletFile, ...]:
        """Write rows where the table lives, unseen until committed. For workers."""
        return write_masklet_files(f"{self.uri}/{MASKLETS}", masklets)

    def commit(
        self,
        files: Sequence[MaskletFile],
        records: Sequence[VideoRecord],
        *,
        run_id: str,
        seen: Mapping[str, str | None] | None = None,
    ) -> Committed:
        """Publish videos: their seals and masklets replace all they had.

        Raises ValueError when a file has rows of a video that is not sealed here, or a video is
        sealed twice. `seen`: see `Publication`.
        """
        news = Publication(self.uri, files, records, run_id, seen or {})
        version = advance(self.uri, news.step)
        return Committed(version, news.overtaken)
