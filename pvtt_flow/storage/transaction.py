"""Replace some videos' rows of one Delta table, in one transaction."""

import time
from collections.abc import Collection, Iterator, Sequence

import pyarrow as pa
import pyarrow.dataset as ds
from deltalake import CommitProperties, DeltaTable
from deltalake.transaction import AddAction, RemoveAction

from pvtt_flow.storage.tables import BUCKET, bucket_of, write_file


def replace_videos(
    table: DeltaTable,
    root: str,
    schema: pa.Schema,
    video_ids: Collection[str],
    added: Sequence[AddAction],
    properties: CommitProperties,
) -> int:
    """Take the rows of `video_ids` out and the `added` files in; returns a version that has them.

    A file that also has other videos' rows is replaced by one with only those (read whole, so
    its size bounds the memory). Raises CommitFailedError when another writer got in between.
    """
    actions: list[AddAction | RemoveAction] = [*added]
    if video_ids:
        actions += _removals(table, root, schema, video_ids)
    table.create_write_transaction(
        actions,
        "append",
        schema,
        partition_by=[BUCKET] if BUCKET in schema.names else [],
        commit_properties=properties,
    )
    # The commit leaves this handle behind, and may itself have landed later than next in line.
    table.update_incremental()
    return int(table.version())


def _removals(
    table: DeltaTable, root: str, schema: pa.Schema, video_ids: Collection[str]
) -> Iterator[AddAction | RemoveAction]:
    gone = ds.field("video_id").isin(list(video_ids))
    partitioned = BUCKET in schema.names
    where = gone
    if partitioned:
        where &= ds.field(BUCKET).isin(sorted({bucket_of(video_id) for video_id in video_ids}))
    known = {a["path"]: a for a in pa.table(table.get_add_actions(flatten=True)).to_pylist()}
    columns = [name for name in schema.names if name != BUCKET]
    for fragment in table.to_pyarrow_dataset().get_fragments(filter=where):
        if fragment.count_rows(filter=gone) == 0:
            continue
        action = known[fragment.path]
        partition: dict[str, str | None] = {}
        if partitioned:
            partition[BUCKET] = str(action[f"partition.{BUCKET}"])
        now_ms = time.time_ns() // 1_000_000
        yield RemoveAction(
            fragment.path,
            data_change=True,
            deletion_timestamp=now_ms,
            size=action["size_bytes"],
            partition_values=partition,
        )
        rest = fragment.to_table(columns=columns, filter=~gone)
        if rest.num_rows:
            yield write_file(root, rest, partition)
