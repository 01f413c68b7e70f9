"""Read a Parquet file of unknown origin in parts of bounded size.

A small file may stand for many gigabytes: pages are compressed, repeated texts are stored once, and
runs of nulls take a few bytes.
"""

from collections.abc import Iterator
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

MAX_GROUP_BYTES = 512 << 20
MAX_GROUP_VALUES = 1 << 26
MAX_ROW_BYTES = 4 << 20
MAX_PART_BYTES = 64 << 20
_BATCH_ROWS = 1024
# Of a number, or a text without characters, as a Python object.
_VALUE_BYTES = 8


class TooLargeError(ValueError):
    """Row group or row beyond a limit; the message starts with "must"."""


def bounded_batches(stream: BinaryIO) -> Iterator[pa.RecordBatch]:
    """Yield all rows in order, in parts that take at most MAX_PART_BYTES as Python objects.

    Raises TooLargeError, and the errors of pyarrow if the bytes are not Parquet.
    """
    metadata = pq.read_metadata(stream)
    _check_row_groups(metadata)
    # A text that many rows share is then in memory once.
    columns = [metadata.schema.column(index) for index in range(metadata.num_columns)]
    texts = [column.path for column in columns if column.physical_type == "BYTE_ARRAY"]
    file = pq.ParquetFile(stream, metadata=metadata, read_dictionary=texts)
    num_rows = 0
    for batch in file.iter_batches(batch_size=_BATCH_ROWS):
        yield from _split(batch, num_rows + 1)
        num_rows += batch.num_rows


def _check_row_groups(metadata: pq.FileMetaData) -> None:
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        num_values = sum(group.column(i).num_values for i in range(group.num_columns))
        if group.total_byte_size > MAX_GROUP_BYTES or num_values > MAX_GROUP_VALUES:
            raise TooLargeError(
                f"must have at most {MAX_GROUP_BYTES} bytes before compression and "
                f"{MAX_GROUP_VALUES} values in a row group, got {group.total_byte_size} and "
                f"{num_values}; write smaller row groups"
            )


def _split(batch: pa.RecordBatch, first_row: int) -> Iterator[pa.RecordBatch]:
    """Halve a batch until each part is small enough; rows count from 1."""
    size_bytes, num_rows = sum(map(_text_bytes, batch.columns)), batch.num_rows
    if num_rows > 1 and size_bytes > MAX_PART_BYTES:
        half = num_rows // 2
        yield from _split(batch.slice(0, half), first_row)
        yield from _split(batch.slice(half), first_row + half)
    elif num_rows == 1 and size_bytes > MAX_ROW_BYTES:
        raise TooLargeError(
            f"must have at most {MAX_ROW_BYTES} bytes in a row, got {size_bytes} in row {first_row}"
        )
    else:
        yield batch


def _text_bytes(array: pa.Array) -> int:
    """Return the bytes of the values as text, of repeated ones each time."""
    kind = array.type
    if pa.types.is_dictionary(kind):
        lengths = pc.binary_length(array.dictionary).take(array.indices)
        return int(pc.sum(lengths).as_py() or 0) + _VALUE_BYTES * len(array)
    if pa.types.is_struct(kind):
        return sum(map(_text_bytes, array.flatten())) + _VALUE_BYTES * len(array)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_map(kind):
        return _text_bytes(_items(array)) + _VALUE_BYTES * len(array)
    return max(_VALUE_BYTES * len(array), int(array.nbytes))


def _items(array: pa.Array) -> pa.Array:
    if not pa.types.is_map(array.type):
        return array.flatten()
    start, stop = array.offsets[0].as_py(), array.offsets[-1].as_py()
    return pa.StructArray.from_arrays([array.keys, array.items], ["key", "value"]).slice(
        start, stop - start
    )
