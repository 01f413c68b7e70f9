"""Ledger: the few columns of each committed video that planning needs."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import islice

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from pvtt_flow.dataset.arrow import from_table, schema_of
from pvtt_flow.dataset.damage import naming_damage
from pvtt_flow.dataset.maintenance.schema_evolution import conform
from pvtt_flow.types import Status

# Number of entries that are Python objects at one time; in Arrow an entry takes a few dozen bytes.
_CHUNK = 1 << 16
_MADE_FROM_NAME = "-[0-9a-f]{10}$"
# At the end of the uri of a folder of frames.
_FRAME_RATE = r"/#fps=[0-9]+(\.[0-9]+)?$"


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """Columns of a `VideoRecord` that decide whether its video has to be processed again."""

    video_id: str
    uri: str = ""
    etag: str
    size_bytes: int
    content_hash: str | None = None
    processed_etag: str | None = None
    status: Status
    attempts: int
    attributes: dict[str, str] | None = None
    input_uri: str = ""
    gone_at_ns: int | None = None
    work_key: str
    run_id: str
    config_hash: str
    detector_hash: str
    tracker_hash: str


class Ledger:
    """Entry for each row of the `videos` table, in Arrow, so that millions fit into memory."""

    def __init__(self, rows: pa.Table) -> None:
        self._rows = rows
        self._ids = rows["video_id"].combine_chunks()

    def __len__(self) -> int:
        return int(self._rows.num_rows)

    def entries(self, video_ids: Iterable[str]) -> Iterator[LedgerEntry | None]:
        """Yield the entry of each video, in order; None for a video that is not in the dataset."""
        remaining = iter(video_ids)
        while chunk := list(islice(remaining, _CHUNK)):
            places = pc.index_in(pa.array(chunk, pa.string()), self._ids)
            known = iter(from_table(LedgerEntry, self._rows.take(places.drop_null())))
            yield from (None if place is None else next(known) for place in places.to_pylist())

    def has(self, video_ids: Sequence[str]) -> list[bool]:
        """Return for each id whether it is in the dataset."""
        found: list[bool] = pc.is_in(pa.array(video_ids, pa.string()), self._ids).to_pylist()
        return found

    def ids_of_uris(self, uris: Sequence[str]) -> list[str | None]:
        """Return the id of each video by its uri without frame rate; None if there is none.

        Of several, an id that was made from a name goes before one that a manifest gave.
        """
        by_hash = pc.match_substring_regex(self._ids, _MADE_FROM_NAME)
        order = pc.sort_indices(by_hash.cast(pa.int8()), sort_keys=[("", "descending")])
        known = pc.replace_substring_regex(self._rows["uri"], _FRAME_RATE, "/").take(order)
        places = pc.index_in(pa.array(uris, pa.string()), known)
        video_ids: list[str | None] = self._ids.take(order).take(places).to_pylist()
        return video_ids

    def most_frequent_input(self) -> str:
        """Return the `input_uri` of most videos, or "" without one."""
        counts = pc.value_counts(self._rows["input_uri"]).to_pylist()
        return str(max(counts, key=lambda pair: pair["counts"])["values"]) if counts else ""

    def missing_from(self, input_uri: str, video_ids: Sequence[str]) -> list[LedgerEntry]:
        """Return the entries that were listed under `input_uri` and are not among `video_ids`."""
        here = pc.equal(self._rows["input_uri"], input_uri)
        listed = pc.is_in(self._rows["video_id"], pa.array(video_ids, pa.string()))
        return from_table(LedgerEntry, self._rows.filter(pc.and_not(here, listed)))


def read_ledger(videos: ds.Dataset) -> Ledger:
    """Read the ledger of a `videos` table; reads no other columns."""
    known = set(videos.schema.names)
    names = [field.name for field in fields(LedgerEntry) if field.name in known]
    with naming_damage(videos.get_fragments(), names):
        return Ledger(conform(videos.to_table(columns=names), LedgerEntry))


def empty_ledger() -> Ledger:
    """Return the ledger of a dataset that does not exist yet."""
    return Ledger(schema_of(LedgerEntry).empty_table())
