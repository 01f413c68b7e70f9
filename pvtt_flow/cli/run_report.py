"""Write the report of a run: its config and counts as JSON, and a contact sheet of its videos."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from pvtt_flow.config.schema import RunConfig
from pvtt_flow.core.timeline import FrameTime
from pvtt_flow.dataset.history import open_snapshot
from pvtt_flow.dataset.queries import masklets_of, videos_of_run
from pvtt_flow.dataset.snapshot import Snapshot
from pvtt_flow.errors import DataError
from pvtt_flow.pipeline.summary import Summary
from pvtt_flow.review.contact_sheet import SheetRow, contact_sheet, encode_image, evenly_spaced
from pvtt_flow.storage.files import write_bytes
from pvtt_flow.storage.uris import redact_uri
from pvtt_flow.types import Masklet, VideoRecord
from pvtt_flow.video.read import read_frames_at_times
from pvtt_flow.video.worker.decoder import IsolatedDecoder
from pvtt_flow.video.worker.pool import SHARED_POOL

_FRAMES_PER_ROW = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """Uris of the files of a run's report."""

    run_uri: str
    contact_sheet_uri: str | None


def write_run_report(config: RunConfig, summary: Summary) -> RunReport:
    """Write `runs/<run_id>.json` and, unless turned off, `runs/<run_id>.png`."""
    base_uri = f"{config.output.uri.rstrip('/')}/runs/{summary.run_id}"
    input_params = config.input.model_copy(update={"uri": redact_uri(config.input.uri)})
    report = {
        "config": config.model_copy(update={"input": input_params}).model_dump(mode="json"),
        "summary": asdict(summary),
        "frames_per_s": summary.frames_per_s,
    }
    write_bytes(f"{base_uri}.json", json.dumps(report, indent=2).encode())
    if not config.run.contact_sheet_videos:
        return RunReport(run_uri=f"{base_uri}.json", contact_sheet_uri=None)
    snapshot = open_snapshot(config.output.uri)
    records = videos_of_run(
        snapshot.scan_videos(), summary.run_id, limit=config.run.contact_sheet_videos
    )
    title = f"{summary.run_id}: {summary.num_videos} videos, {summary.num_masklets} masklets"
    write_bytes(f"{base_uri}.png", _contact_sheet_png(title, snapshot, records))
    return RunReport(run_uri=f"{base_uri}.json", contact_sheet_uri=f"{base_uri}.png")


def sheet_row_of(record: VideoRecord, masklets: Sequence[Masklet]) -> SheetRow:
    """Return a video's row of a contact sheet; its note says why the source cannot be read."""
    times = sorted({FrameTime(f.frame_index, f.pts_ns) for m in masklets for f in m.frames})
    chosen = evenly_spaced(times, _FRAMES_PER_ROW)
    note = record.status if record.failure_message is None else record.failure_message
    try:
        # In another process: a crash of FFmpeg must not end this one, which finishes a run.
        frames = (
            tuple(IsolatedDecoder(SHARED_POOL).iterate(read_frames_at_times, record.uri, chosen))
            if chosen
            else ()
        )
    except DataError as error:
        return SheetRow(video_id=record.video_id, note=str(error))
    return SheetRow(
        video_id=record.video_id,
        frames=frames,
        masklets=tuple(masklets),
        note=", ".join((note, *record.flags)),
    )


def _contact_sheet_png(title: str, snapshot: Snapshot, records: Sequence[VideoRecord]) -> bytes:
    masklets = masklets_of(snapshot.scan_masklets(), [record.video_id for record in records])
    rows = [
        sheet_row_of(record, [m for m in masklets if m.video_id == record.video_id])
        for record in records
    ]
    return encode_image(contact_sheet(title, rows), ".png")
