"""Change what the dataset says of some videos, without processing them."""

from collections.abc import Callable, Collection
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pvtt_flow.dataset.file_actions import rows_of, without
from pvtt_flow.dataset.tables import MASKLETS, SCHEMAS, VIDEOS, write_file
from pvtt_flow.dataset.transactions import Base, Step, StepName, advance

_SCHEMA = SCHEMAS[VIDEOS]
# Of some rows those that change, changed.
Change = Callable[[pa.Table], pa.Table]


def mark(
    uri: str, *, gone: Collection[str], returned: Collection[str], at_ns: int, run_id: str
) -> int:
    """Note that videos have gone from their input, or are back; nothing is deleted."""

    def marked(rows: pa.Table) -> pa.Table:
        is_gone = pc.is_in(rows["video_id"], pa.array(list(gone), pa.string()))
        times = pc.if_else(is_gone, pa.scalar(at_ns, pa.int64()), pa.scalar(None, pa.int64()))
        return _with(rows, gone_at_ns=times)

    notes = {"run_id": run_id, "videos_gone": len(gone), "videos_returned": len(returned)}
    return _amend(uri, "gone", {*gone, *returned}, marked, notes)


def retry(uri: str, video_ids: Collection[str]) -> int:
    """Give failed videos all their attempts again: the next run takes them.

    Those that another run has made well meanwhile stay as they are.
    """

    def reset(rows: pa.Table) -> pa.Table:
        failed = rows.filter(pc.is_valid(rows["failure_kind"]))
        status, attempts = (pa.repeat(value, failed.num_rows) for value in ("failed", 0))
        return _with(failed, status=status, attempts=attempts)

    return _amend(uri, "retry", video_ids, reset, {"videos_reset": len(video_ids)})


def clear(uri: str, video_ids: Collection[str]) -> int:
    """Forget videos, with all that was made of them: to the next run they are new."""

    def step(base: Base) -> Step:
        return Step(
            name="clear",
            videos=without(base.videos, f"{uri}/{VIDEOS}", video_ids),
            masklets=without(base.masklets, f"{uri}/{MASKLETS}", video_ids),
            notes={"videos_cleared": len(video_ids)},
        )

    return advance(uri, step)


def _amend(
    uri: str, name: StepName, video_ids: Collection[str], change: Change, notes: dict[str, Any]
) -> int:
    root = f"{uri}/{VIDEOS}"

    def step(base: Base) -> Step | None:
        changed = change(rows_of(base.videos, root, video_ids, _SCHEMA.names))
        if not changed.num_rows:
            return None
        edit = without(base.videos, root, changed["video_id"].to_pylist())
        written = write_file(root, changed.sort_by("video_id"), {})
        return Step(name=name, videos=edit.with_files(written), notes=notes)

    return advance(uri, step)


def _with(rows: pa.Table, **columns: "pa.Array | pa.ChunkedArray") -> pa.Table:
    for name, values in columns.items():
        place = _SCHEMA.get_field_index(name)
        rows = rows.set_column(place, _SCHEMA.field(name), values)
    return rows
