"""Renewal of what the listing says about videos whose results stay."""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from pvtt_flow.dataset.arrow import attributes_array
from pvtt_flow.dataset.maintenance.row_updates import set_columns, update_rows
from pvtt_flow.types import Source


def renew(uri: str, sources: Sequence[Source], run_id: str) -> int:
    """Store the present etags and attributes of videos whose content is that of their rows.

    A row that another run has made since the plan (`Source.expected_run_id`) is not changed.
    Returns the version.
    """
    by_id = {source.video_id: source for source in sources}

    def change(rows: pa.Table) -> pa.Table:
        found = [by_id[video_id] for video_id in rows["video_id"].to_pylist()]
        planned = pa.array([source.expected_run_id for source in found], pa.string())
        etags = pa.array([source.etag for source in found], pa.string())
        is_same = pc.equal(rows["etag"], etags)
        before = pc.coalesce(rows["processed_etag"], rows["etag"])
        renewed = set_columns(
            rows,
            etag=etags,
            processed_etag=pc.if_else(is_same, rows["processed_etag"], before),
            attributes=attributes_array([source.attributes for source in found]),
        )
        return renewed.filter(pc.equal(rows["run_id"], planned))

    notes = {"run_id": run_id, "videos_renewed": len(sources)}
    return update_rows(uri, "renew", by_id.keys(), change, notes)
