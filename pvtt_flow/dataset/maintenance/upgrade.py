"""Upgrade of an older dataset to the columns of this version."""

from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.transaction import AddAction

from pvtt_flow.dataset.columns import check_not_newer, other_columns
from pvtt_flow.dataset.file_actions import FileActions, files_of, partition_of
from pvtt_flow.dataset.maintenance.schema_evolution import conform
from pvtt_flow.dataset.readme import write_readme
from pvtt_flow.dataset.snapshot import Snapshot
from pvtt_flow.dataset.tables import MASKLETS, SCHEMAS, VIDEOS, read_file, write_file
from pvtt_flow.dataset.transactions import Transaction, commit
from pvtt_flow.types import Masklet, VideoRecord

_THREADS = 4


def upgrade(uri: str) -> int:
    """Rewrite all rows with the columns of this version; returns the dataset's version.

    A dataset that has these columns gets at most a missing README.md. Earlier versions stay readable.
    Raises PreflightError for a dataset of a newer version, whose unknown columns would be lost.
    """

    def transaction(snapshot: Snapshot) -> Transaction | None:
        check_not_newer(snapshot)
        if not any(other_columns(snapshot, name) for name in SCHEMAS):
            return None
        return Transaction(
            operation="upgrade",
            videos=_conformed(f"{uri}/{VIDEOS}", snapshot.videos, VideoRecord),
            masklets=_conformed(f"{uri}/{MASKLETS}", snapshot.masklets, Masklet),
        )

    version = commit(uri, transaction)
    write_readme(uri)
    return version


def _conformed(root: str, table: DeltaTable, cls: type) -> FileActions:
    files = files_of(table).to_pylist()

    def conformed(file: dict[str, object]) -> AddAction:
        rows: pa.Table = conform(read_file(root, str(file["path"])), cls)
        return write_file(root, rows, partition_of(file))

    with ThreadPoolExecutor(_THREADS) as pool:
        added = tuple(pool.map(conformed, files))
    return FileActions(frozenset(file["path"] for file in files), added)
