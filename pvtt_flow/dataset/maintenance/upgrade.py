"""An older dataset's tables in today's columns, as a new version of it."""

from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.transaction import AddAction

from pvtt_flow.dataset.delta import check_not_newer, other_columns
from pvtt_flow.dataset.file_actions import Edit, files_of, partition_of
from pvtt_flow.dataset.maintenance.schema_evolution import conform
from pvtt_flow.dataset.tables import MASKLETS, SCHEMAS, VIDEOS, read_file, write_file
from pvtt_flow.dataset.transactions import Base, Step, advance
from pvtt_flow.types import Masklet, VideoRecord

_THREADS = 4


def upgrade(uri: str) -> int:
    """Write all rows anew with the columns of this version; returns the dataset's version.

    Does nothing to a dataset that has them. Earlier versions can still be read as they are.
    Raises PreflightError for a dataset of a newer version: what is not known here would be lost.
    """

    def step(base: Base) -> Step | None:
        check_not_newer(uri)
        if not any(other_columns(uri, name) for name in SCHEMAS):
            return None
        return Step(
            name="upgrade",
            videos=_conformed(f"{uri}/{VIDEOS}", base.videos, VideoRecord),
            masklets=_conformed(f"{uri}/{MASKLETS}", base.masklets, Masklet),
        )

    return advance(uri, step)


def _conformed(root: str, table: DeltaTable, cls: type) -> Edit:
    files = files_of(table).to_pylist()

    def conformed(file: dict[str, object]) -> AddAction:
        rows: pa.Table = conform(read_file(root, str(file["path"])), cls)
        return write_file(root, rows, partition_of(file))

    with ThreadPoolExecutor(_THREADS) as pool:
        added = tuple(pool.map(conformed, files))
    return Edit(frozenset(file["path"] for file in files), added)
