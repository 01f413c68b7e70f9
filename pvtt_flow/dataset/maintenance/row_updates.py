"""Updates of the rows of some videos, without processing them: gone, retry, forget."""

from collections.abc import Callable, Collection
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pvtt_flow.dataset.columns import check_columns
from pvtt_flow.dataset.file_actions import delete_videos, rows_of
from pvtt_flow.dataset.snapshot import Snapshot
from pvtt_flow.dataset.tables import MASKLETS, SCHEMAS, VIDEOS, write_file
from pvtt_flow.dataset.transactions import Operation, Transaction, commit

_SCHEMA = SCHEMAS[VIDEOS]
# Returns the rows that change, with their new values.
Change = Callable[[pa.Table], pa.Table]


def mark_gone(
    uri: str, *, gone: Collection[str], returned: Collection[str], at_ns: int, run_id: str
) -> int:
    """Mark videos that are gone from their input, and unmark those that returned."""

    def set_gone_at(rows: pa.Table) -> pa.Table:
        is_gone = pc.is_in(rows["video_id"], pa.array(list(gone), pa.string()))
        times = pc.if_else(is_gone, pa.scalar(at_ns, pa.int64()), pa.scalar(None, pa.int64()))
        return set_columns(rows, gone_at_ns=times)

    notes = {"run_id": run_id, "videos_gone": len(gone), "videos_returned": len(returned)}
    return update_rows(uri, "gone", {*gone, *returned}, set_gone_at, notes)


def retry(uri: str, video_ids: Collection[str]) -> int:
    """Reset the attempts of failed videos, so that the next run processes them.

    A video that another run has processed successfully since then is not changed.
    """

    def reset(rows: pa.Table) -> pa.Table:
        failed = rows.filter(pc.is_valid(rows["failure_kind"]))
        status, attempts = (pa.repeat(value, failed.num_rows) for value in ("failed", 0))
        return set_columns(failed, status=status, attempts=attempts)

    return update_rows(uri, "retry", video_ids, reset, {"videos_reset": len(video_ids)})


def forget(uri: str, video_ids: Collection[str]) -> int:
    """Delete the rows and masklets of videos; the next run treats them as new."""

    def transaction(snapshot: Snapshot) -> Transaction:
        return Transaction(
            operation="clear",
            videos=delete_videos(snapshot.videos, f"{uri}/{VIDEOS}", video_ids),
            masklets=delete_videos(snapshot.masklets, f"{uri}/{MASKLETS}", video_ids),
            notes={"videos_cleared": len(video_ids)},
        )

    return commit(uri, transaction)


def update_rows(
    uri: str,
    operation: Operation,
    video_ids: Collection[str],
    change: Change,
    notes: dict[str, Any],
) -> int:
    """Replace the rows of some videos by what `change` returns of them; returns the version."""
    root = f"{uri}/{VIDEOS}"

    def transaction(snapshot: Snapshot) -> Transaction | None:
        check_columns(snapshot)
        changed = change(rows_of(snapshot.videos, root, video_ids, _SCHEMA.names))
        if not changed.num_rows:
            return None
        actions = delete_videos(snapshot.videos, root, changed["video_id"].to_pylist())
        written = write_file(root, changed.sort_by("video_id"), {})
        return Transaction(operation=operation, videos=actions.with_files(written), notes=notes)

    return commit(uri, transaction)


def set_columns(rows: pa.Table, **columns: "pa.Array | pa.ChunkedArray") -> pa.Table:
    """Return rows of `videos` with other values in some columns."""
    for name, values in columns.items():
        index = _SCHEMA.get_field_index(name)
        rows = rows.set_column(index, _SCHEMA.field(name), values)
    return rows
