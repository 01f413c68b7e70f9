"""Rows of the videos that are shown, and of their masklets, without masks."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from pvtt_flow.report.content import Card, Kind, MaskletRow, Strip
from pvtt_flow.report.histograms import PROBABILITIES
from pvtt_flow.review.overlay import color_of
from pvtt_flow.storage.uris import redact_uri
from pvtt_flow.types import VideoRecord

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MAX_MASKLETS = 20
"""Masklets of each video that are shown: those in most doubt."""
_FACTS = (
    "masklet_id", "video_id", "label", "object_id", "shot_index", "start_frame", "stop_frame",
    "coalesce(verdict, 'none')", "reasons",
)  # fmt: skip
_ROWS = """
SELECT {columns} FROM masklets JOIN chosen USING (video_id)
QUALIFY row_number() OVER (PARTITION BY video_id ORDER BY {doubt}, masklet_id) <= {limit}
ORDER BY video_id, {doubt}, masklet_id
"""


def masklets_by_video(
    db: "DuckDBPyConnection", video_ids: Sequence[str], names: Sequence[str]
) -> dict[str, list[MaskletRow]]:
    """Return the masklets of videos, at most `MAX_MASKLETS` of each, those in most doubt first.

    `names` are those of `measured_columns`.
    """
    if not video_ids:
        return {}
    columns = [name if name in PROBABILITIES else f"qc.{name}" for name in names]
    probability = "good_probability" if "good_probability" in names else "NULL"
    doubt = f"coalesce({probability}, 0)"
    sql = _ROWS.format(columns=", ".join((*_FACTS, *columns)), doubt=doubt, limit=MAX_MASKLETS)
    db.execute("CREATE OR REPLACE TEMP TABLE chosen (video_id VARCHAR)")
    db.executemany("INSERT INTO chosen VALUES (?)", [[video_id] for video_id in video_ids])
    found: dict[str, list[MaskletRow]] = {video_id: [] for video_id in video_ids}
    for row in db.execute(sql).fetchall():
        masklet = _masklet(row, names)
        found[masklet.video_id].append(masklet)
    return found


def make_cards(
    kinds: Mapping[str, Kind],
    records: Mapping[str, VideoRecord],
    masklets: Mapping[str, Sequence[MaskletRow]],
    dataset: str,
) -> Iterator[Card]:
    """Yield a card for each video, in the order of `kinds`, without pictures."""
    for video_id, kind in kinds.items():
        record = records[video_id]
        rows = tuple(masklets[video_id])
        yield Card(
            video=record,
            kind=kind,
            masklets=rows,
            num_masklets_left_out=max(0, record.num_masklets - len(rows)),
            strip=None,
            preview=shlex.join(["pvtt-flow", "preview", redact_uri(dataset), video_id]),
        )


def note_of(record: VideoRecord) -> str:
    """Say why a video has no masklets; empty if it has some."""
    if record.failure_message is not None:
        return f"{record.failure_kind} in {record.failure_stage}: {record.failure_message}"
    if record.num_masklets:
        return ""
    return (
        "No product was found on the prompt frames. A dataset keeps no detections of such a video; "
        "`pvtt-flow debug VIDEO --config CONFIG` draws them."
    )


def empty_strip(record: VideoRecord, reason: str) -> Strip:
    """Return a strip without pictures that says why; the failure of the video comes first."""
    return Strip(note=" ".join(text for text in (note_of(record), reason) if text))


def _masklet(row: Sequence[object], names: Sequence[str]) -> MaskletRow:
    masklet_id, video_id, label, object_id, shot, start, stop, verdict, reasons, *values = row
    red, green, blue = color_of(int(str(object_id)))
    return MaskletRow(
        masklet_id=str(masklet_id),
        video_id=str(video_id),
        label=str(label),
        object_id=int(str(object_id)),
        color=f"#{red:02X}{green:02X}{blue:02X}",
        shot_index=int(str(shot)),
        start_frame=int(str(start)),
        stop_frame=int(str(stop)),
        verdict=str(verdict),
        reasons=tuple(map(str, reasons)) if isinstance(reasons, list) else (),
        values={
            name: None if value is None else float(str(value))
            for name, value in zip(names, values, strict=True)
        },
    )
