"""Rows of a table as a Ray Data dataset.

Ray's own `read_parquet` supports neither Arrow's expressions nor the statistics of Delta's log.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import ray.data
from ray.data import Datasource, ReadTask
from ray.data.block import BlockMetadata

from pvtt_flow.dataset.damage import naming_damage

if TYPE_CHECKING:
    from ray.data.context import DataContext


def ray_rows(
    scan: ds.FileSystemDataset, columns: Sequence[str] | None, where: ds.Expression | None
) -> ray.data.Dataset:
    """Return the rows as a Ray Data dataset; opens only files and row groups that may match."""
    names = list(scan.schema.names if columns is None else columns)
    rows: ray.data.Dataset = ray.data.read_datasource(_Rows(scan, names, where))
    return rows


class _Rows(Datasource):
    """Datasource that divides the files of a scan among read tasks."""

    def __init__(
        self, scan: ds.FileSystemDataset, names: list[str], where: ds.Expression | None
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._schema = scan.schema
        self._files = list(scan.get_fragments(filter=where))
        self._columns = pa.schema([scan.schema.field(name) for name in names])
        self._read = partial(_rows, names=names, where=where, schema=scan.schema)

    def get_name(self) -> str:
        """Return the name for Ray's dashboard and progress bars."""
        return "Masklets" if "masklet_id" in self._schema.names else "Videos"

    def estimate_inmemory_data_size(self) -> int | None:
        """Return None, since the size is unknown before reading."""
        return None

    def get_read_tasks(
        self,
        parallelism: int,
        per_task_row_limit: int | None = None,
        data_context: "DataContext | None" = None,
    ) -> list[ReadTask]:
        """Return at most `parallelism` tasks; a task without files returns an empty table."""
        del data_context
        count = max(1, min(parallelism, len(self._files)))
        shares = [part.tolist() for part in np.array_split(np.array(self._files, object), count)]
        unknown = BlockMetadata(num_rows=None, size_bytes=None, exec_stats=None)
        return [
            ReadTask(partial(self._read, share), unknown, self._columns, per_task_row_limit)
            for share in shares
        ]


def _rows(
    files: Sequence[ds.ParquetFileFragment],
    *,
    names: list[str],
    where: ds.Expression | None,
    schema: pa.Schema,
) -> Iterator[pa.Table]:
    yield schema.empty_table().select(names)
    for file in files:
        with naming_damage([file], names):
            for batch in file.to_batches(schema, columns=names, filter=where):
                if batch.num_rows:
                    yield pa.Table.from_batches([batch])
