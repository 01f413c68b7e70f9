"""A dataset: two Delta tables that are always read at versions which belong together.

`masklets` is committed first, then `videos`, whose commit records the version of `masklets` that
it goes with (as a Delta application transaction, which checkpoints keep). Readers follow that
record, so masklets that no seal speaks for are never seen; `sweep` undoes them.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import TYPE_CHECKING

import pyarrow.dataset as ds
from deltalake import CommitProperties, DeltaTable, Transaction
from deltalake.exceptions import CommitFailedError

from pvtt_flow.data import Masklet, Seal
from pvtt_flow.errors import PreflightError
from pvtt_flow.storage.arrow import to_table
from pvtt_flow.storage.delta import KEY, check_columns, make_tables, open_table, tables_exist
from pvtt_flow.storage.ledger import LedgerEntry, read_ledger
from pvtt_flow.storage.places import normal, public
from pvtt_flow.storage.tables import (
    MASKLETS,
    SCHEMAS,
    VIDEOS,
    MaskletFile,
    add_action,
    write_file,
    write_masklet_files,
)
from pvtt_flow.storage.transaction import replace_videos

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


class Dataset:
    """The dataset at a folder, local or in a bucket; as of `version`, or the latest.

    The version of a dataset is that of its `videos` table. Making the object touches nothing.
    Methods raise PreflightError when the tables are not there or cannot be reached.
    """

    def __init__(self, uri: str, version: int | None = None) -> None:
        self.uri = normal(uri)
        self.version = version

    def exists(self) -> bool:
        """Whether both tables are there."""
        return tables_exist(self.uri)

    def ensure(self) -> None:
        """Create what is missing of the two tables; see that their columns are today's."""
        if not self.exists():
            make_tables(self.uri)
        check_columns(self.uri)

    def check(self) -> None:
        """Raise PreflightError when the dataset, or its version, is not there to be read."""
        tables_exist(self.uri)  # says more than delta-rs about buckets and credentials
        latest = self._table(VIDEOS).version()
        if self.version is not None and not 0 <= self.version <= latest:
            raise PreflightError(
                f"{KEY}: expected a version from 0 to {latest} of {public(self.uri)}, "
                f"but found none with number {self.version}"
            )

    def ledger(self) -> Mapping[str, LedgerEntry]:
        """What is known of each video, by video_id."""
        return read_ledger(self.videos())

    def videos(self) -> ds.Dataset:
        """The `videos` table: a row for every input."""
        return self._table(VIDEOS, self.version).to_pyarrow_dataset()

    def masklets(self) -> ds.Dataset:
        """The `masklets` table as the same version of `videos` goes with it."""
        version = _recorded(self._table(VIDEOS, self.version))
        return self._table(MASKLETS, version).to_pyarrow_dataset()

    def duckdb(self) -> "DuckDBPyConnection":
        """A new in-memory DuckDB in which `videos` and `masklets` are views."""
        import duckdb

        connection = duckdb.connect()
        connection.register(VIDEOS, self.videos())
        connection.register(MASKLETS, self.masklets())
        return connection

    def write_masklets(self, masklets: Sequence[Masklet]) -> tuple[MaskletFile, ...]:
        """Write rows where the table lives, unseen until committed. For workers."""
        return write_masklet_files(self._root(MASKLETS), masklets)

    def commit(
        self,
        files: Sequence[MaskletFile],
        seals: Sequence[Seal],
        *,
        run_id: str,
        message: str = "",
    ) -> int:
        """Publish videos: their seals and masklets replace all they had. For the driver alone.

        Returns the dataset's new version. Raises ValueError when a file has rows of a video that
        is not sealed here, or a video is sealed twice; PreflightError when another run has
        changed the same rows meanwhile; other errors of the store come as they are.
        """
        ids = _sealed_ids(files, seals)
        videos, masklets = self._table(VIDEOS), self._table(MASKLETS)
        notes = {"run_id": run_id, "message": message}
        known = ds.field("video_id").isin(ids)
        held = videos.to_pyarrow_dataset().to_table(columns=["video_id"], filter=known)
        replaced = held["video_id"].to_pylist()
        try:
            version = masklets.version()
            if files or replaced:
                rows = {"rows_added": sum(file.num_rows for file in files)}
                added = [add_action(file) for file in files]
                version = replace_videos(
                    masklets,
                    self._root(MASKLETS),
                    SCHEMAS[MASKLETS],
                    replaced,
                    added,
                    CommitProperties(custom_metadata=notes | rows),
                )
            return self._seal(videos, seals, replaced, version, notes)
        except CommitFailedError:
            raise PreflightError(
                f"{KEY}: expected to be alone in writing {public(self.uri)}, but another run has "
                "changed the same rows: wait for it to end and run again"
            ) from None

    def sweep(self) -> int:
        """Undo masklets that were committed without their seals; returns how many rows.

        For the driver, before a run; never while another run is writing.
        """
        recorded = _recorded(self._table(VIDEOS))
        masklets = self._table(MASKLETS)
        kept = self._table(MASKLETS, recorded)
        if set(masklets.file_uris()) == set(kept.file_uris()):
            return 0
        later = masklets.history(masklets.version() - recorded)
        undone = takewhile(lambda commit: commit["operation"] != "RESTORE", later)
        rows = sum(int(commit.get("rows_added", 0)) for commit in undone)
        notes = {"message": f"sweep: back to version {recorded}"}
        masklets.restore(recorded, commit_properties=CommitProperties(custom_metadata=notes))
        return rows

    def _seal(
        self,
        videos: DeltaTable,
        seals: Sequence[Seal],
        replaced: Sequence[str],
        masklets_version: int,
        notes: Mapping[str, str],
    ) -> int:
        added = [write_file(self._root(VIDEOS), to_table(Seal, seals), {})] if seals else []
        properties = CommitProperties(
            custom_metadata={**notes, "masklets_version": masklets_version},
            app_transactions=[Transaction(MASKLETS, masklets_version)],
        )
        return replace_videos(
            videos, self._root(VIDEOS), SCHEMAS[VIDEOS], replaced, added, properties
        )

    def _table(self, name: str, version: int | None = None) -> DeltaTable:
        return open_table(self.uri, name, version)

    def _root(self, name: str) -> str:
        return f"{self.uri}/{name}"


def _recorded(videos: DeltaTable) -> int:
    """The version of `masklets` that goes with `videos`; 0, the empty one, before any commit."""
    return int(videos.transaction_version(MASKLETS) or 0)


def _sealed_ids(files: Sequence[MaskletFile], seals: Sequence[Seal]) -> list[str]:
    ids = [seal.video_id for seal in seals]
    if twice := [video_id for video_id, count in Counter(ids).items() if count > 1]:
        raise ValueError(f"each video must be sealed once in a commit, got twice: {twice}")
    if unsealed := {video_id for file in files for video_id in file.video_ids} - set(ids):
        raise ValueError(f"masklets must be committed with their seals, got none: {unsealed}")
    return ids
