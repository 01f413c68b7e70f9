"""Arrow dataset over the files of a table, with the log's statistics, so that filters skip files.

delta-rs has a similar view. This one also skips files by nested columns (the measurements), and
can be pickled to processes that have neither the log nor delta-rs.
"""

import operator
from collections.abc import Collection, Iterator, Mapping
from functools import reduce
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
from deltalake import DeltaTable

from pvtt_flow.dataset.file_actions import PARTITION, files_of
from pvtt_flow.dataset.stats import HIGH, LOW, NULLS
from pvtt_flow.storage.arrow_files import arrow_filesystem


def scan(
    table: DeltaTable, root: str, bounded: Collection[str] | None = None
) -> ds.FileSystemDataset:
    """Return the rows of a table's version; reads only the log, rows are read on demand.

    Filters skip files by the columns `bounded` alone, by default by all. Each filter looks at all
    bounds of all files, so few of them make small reads faster.
    """
    files, folder = arrow_filesystem(root)
    # Column chunks that lie together are fetched together.
    options = ds.ParquetFragmentScanOptions(pre_buffer=True, page_checksum_verification=True)
    form = ds.ParquetFileFormat(default_fragment_scan_options=options)
    fragments = [
        form.make_fragment(f"{folder}/{file['path']}", files, _known(file, bounded))
        for file in files_of(table).to_pylist()
    ]
    schema = pa.schema(table.schema().to_arrow())
    return ds.FileSystemDataset(fragments, schema, form, files)


def _known(file: Mapping[str, Any], bounded: Collection[str] | None) -> ds.Expression:
    """Return an expression that holds for all rows of a file, by its statistics in the log."""
    everything = ds.scalar(value=True)
    return reduce(operator.and_, _facts(file, bounded), everything)


def _facts(file: Mapping[str, Any], bounded: Collection[str] | None) -> Iterator[ds.Expression]:
    for key, value in file.items():
        if value is None or not (bounded is None or key.partition(".")[2] in bounded):
            continue
        if key.startswith(PARTITION):
            yield _column(key, PARTITION) == value
        elif key.startswith(LOW):
            yield _or_null(_column(key, LOW) >= value, file, key.removeprefix(LOW))
        elif key.startswith(HIGH):
            yield _or_null(_column(key, HIGH) <= value, file, key.removeprefix(HIGH))
        elif key.startswith(NULLS) and value == file["num_records"] > 0:
            yield _column(key, NULLS).is_null()


def _column(key: str, prefix: str) -> ds.Expression:
    return ds.field(*key.removeprefix(prefix).split("."))


def _or_null(bound: ds.Expression, file: Mapping[str, Any], name: str) -> ds.Expression:
    """Allow nulls, which bounds do not cover. (Arrow handles only one bound at a time.)"""
    if file.get(NULLS + name) == 0:
        return bound
    return bound | _column(name, "").is_null()
