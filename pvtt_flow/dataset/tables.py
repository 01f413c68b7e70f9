"""Schemas of the two tables, and the Parquet files that workers write for them.

A file belongs to a table only after the driver has committed it. Files of a killed run stay
uncommitted and are deleted by vacuum.
"""

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake.transaction import AddAction

from pvtt_flow.core.ids import digest
from pvtt_flow.dataset.arrow import schema_of, to_table, unknown_fields
from pvtt_flow.dataset.damage import damaged, is_damage
from pvtt_flow.dataset.stats import stats_json
from pvtt_flow.errors import StoreError
from pvtt_flow.storage.filesystems import filesystem
from pvtt_flow.storage.retry import with_retries
from pvtt_flow.storage.store_errors import describe
from pvtt_flow.storage.uris import local_path
from pvtt_flow.types import Masklet, VideoRecord

KEY = "$.output.uri"
MASKLETS = "masklets"
VIDEOS = "videos"
# Partitions let readers skip most files of other videos, and keep small what a replaced video
# rewrites.
NUM_BUCKETS = 16
# A reader of one masklet reads a whole row group.
ROW_GROUP_BYTES = 8 << 20
MAX_TEXT_BYTES = 2_000_000_000
"""Most text that a masklet's masks may have: the offsets of Arrow's strings, which Delta
prescribes, have 32 bits."""
BUCKET = "bucket"
LOG = "_delta_log"
"""Folder of a table's log."""
OLDEST = "oldest"
"""Application id in the log of `videos`, for `Transaction.oldest`."""
SCHEMAS: Mapping[str, pa.Schema] = {
    MASKLETS: schema_of(Masklet).append(pa.field(BUCKET, pa.int32(), nullable=False)),
    VIDEOS: schema_of(VideoRecord),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskletFile:
    """Description of a written file of the `masklets` table, small enough to send to the driver."""

    path: str
    """Relative to the table."""
    size_bytes: int
    num_rows: int
    bucket: int
    video_ids: tuple[str, ...]
    """Videos that have rows in the file."""
    stats_json: str
    """Statistics of the file for Delta's log."""


def bucket_of(video_id: str) -> int:
    """Return the partition of a video's masklets."""
    return int(digest(video_id, 8), 16) % NUM_BUCKETS


def write_masklet_files(root: str, masklets: Sequence[Masklet]) -> tuple[MaskletFile, ...]:
    """Write a new file for each bucket under the table at `root`, without committing it."""

    def bucket(masklet: Masklet) -> int:
        return bucket_of(masklet.video_id)

    grouped = groupby(sorted(masklets, key=bucket), key=bucket)
    return tuple(_write_bucket(root, number, list(rows)) for number, rows in grouped)


def _write_bucket(root: str, bucket: int, masklets: Sequence[Masklet]) -> MaskletFile:
    # A chunk for each, since the text of one array is limited.
    rows = pa.concat_tables([to_table(Masklet, [masklet]) for masklet in masklets])
    added = write_file(root, rows, {BUCKET: str(bucket)})
    return MaskletFile(
        path=added.path,
        size_bytes=added.size,
        num_rows=len(masklets),
        bucket=bucket,
        video_ids=tuple(sorted({masklet.video_id for masklet in masklets})),
        stats_json=added.stats,
    )


def add_action(file: MaskletFile) -> AddAction:
    """Return the add action of a written file."""
    return added(file.path, file.size_bytes, {BUCKET: str(file.bucket)}, file.stats_json)


def added(path: str, size_bytes: int, partition: Mapping[str, str | None], stats: str) -> AddAction:
    """Return the add action of a file."""
    now_ms = time.time_ns() // 1_000_000
    return AddAction(path, size_bytes, partition, now_ms, data_change=True, stats=stats)


def write_file(root: str, rows: pa.Table, partition: Mapping[str, str | None]) -> AddAction:
    """Write a new file of a table; partition columns are in its path and not in `rows`.

    Raises StoreError if the store refuses it.
    """
    folder = "".join(f"{name}={value}/" for name, value in partition.items())
    path = f"{folder}{uuid4().hex}.zstd.parquet"
    uri = f"{root}/{path}"
    try:
        size_bytes = with_retries(lambda: _write(uri, rows))
    except pa.ArrowException:
        raise  # an error of the rows and not of the store
    except Exception as error:
        raise StoreError(f"{KEY}: rows must be written, but {describe(error, uri)}") from error
    return added(path, size_bytes, partition, stats_json(rows))


def read_file(
    root: str,
    path: str,
    columns: Sequence[str] | None = None,
    *,
    row_group: int | None = None,
    schema: pa.Schema | None = None,
) -> pa.Table:
    """Read the rows of a file or of one row group, without partition columns.

    With the table's `schema`, columns that it lacks are damage: footers have no checksum, and a
    flipped bit may rename a column.

    Raises DamagedFileError for a file that is lost or has other bytes than were written, and
    StoreError for one that cannot be read.
    """
    uri = f"{root}/{path}"
    try:
        rows = with_retries(lambda: _read(uri, columns, row_group))
    except Exception as error:
        if is_damage(error):
            raise damaged(root, path, error) from error
        raise StoreError(f"rows must be read, but {describe(error, uri)}") from error
    if schema and any(unknown_fields(pa.struct(rows.schema), pa.struct(schema))):
        raise damaged(root, path, pa.ArrowInvalid("other columns"))
    return rows


def _write(uri: str, rows: pa.Table) -> int:
    files, place = filesystem(uri)
    if local_path(uri):
        files.makedirs(place.rpartition("/")[0], exist_ok=True)
    try:
        with files.open(place, "wb") as stream:
            pq.write_table(
                rows,
                stream,
                _rows_a_group(rows),
                compression="zstd",
                # Without checksums, a third of all flipped bits are read as other values.
                write_page_checksum=True,
            )
            return int(stream.tell())
    except BaseException:
        # A partial file is of no use, and on a full disk it takes space.
        with suppress(Exception):
            files.rm(place)
        raise


def _rows_a_group(rows: pa.Table) -> int:
    """Return the number of rows with about the bytes of a row group, before compression."""
    row_bytes = rows.nbytes / max(1, rows.num_rows)
    return max(1, int(ROW_GROUP_BYTES / max(1, row_bytes)))


def _read(uri: str, columns: Sequence[str] | None, row_group: int | None) -> pa.Table:
    files, place = filesystem(uri)
    names = None if columns is None else list(columns)
    with (
        files.open(place, "rb") as stream,
        pq.ParquetFile(stream, page_checksum_verification=True) as file,
    ):
        return file.read(names) if row_group is None else file.read_row_group(row_group, names)
