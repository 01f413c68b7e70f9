"""What the dataset already knows of each video, as little as planning needs."""

from collections.abc import Mapping
from dataclasses import dataclass, fields

import pyarrow.dataset as ds

from pvtt_flow.data import Status
from pvtt_flow.storage.arrow import from_table


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """The columns of a seal that decide whether its video has to be processed again."""

    video_id: str
    etag: str
    size_bytes: int
    status: Status
    attempts: int
    work_key: str


def read_ledger(videos: ds.Dataset) -> Mapping[str, LedgerEntry]:
    """An entry for each row of the `videos` table, by video_id; reads no other columns."""
    table = videos.to_table(columns=[field.name for field in fields(LedgerEntry)])
    return {entry.video_id: entry for entry in from_table(LedgerEntry, table)}
