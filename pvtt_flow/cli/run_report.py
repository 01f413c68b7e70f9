"""Draw the contact sheet of a run's videos."""

from collections.abc import Sequence

from pvtt_flow.config.schema import RunConfig
from pvtt_flow.core.timeline import FrameTime
from pvtt_flow.dataset.history import open_snapshot
from pvtt_flow.dataset.queries import masklets_of, videos_of_run
from pvtt_flow.dataset.snapshot import Snapshot
from pvtt_flow.errors import DataError
from pvtt_flow.pipeline.run_record import record_uri
from pvtt_flow.pipeline.summary import Summary
from pvtt_flow.review.contact_sheet import SheetRow, contact_sheet, encode_image, evenly_spaced
from pvtt_flow.storage.files import write_bytes
from pvtt_flow.types import Masklet, VideoRecord
from pvtt_flow.video.read import read_frames_at_times
from pvtt_flow.video.worker.decoder import IsolatedDecoder
from pvtt_flow.video.worker.pool import SHARED_POOL

_FRAMES_PER_ROW = 6


def write_contact_sheet(config: RunConfig, summary: Summary) -> str | None:
    """Write `runs/<run_id>.png` and return its uri; None if the config turns it off."""
    if not config.run.contact_sheet_videos:
        return None
    uri = f"{record_uri(config.output.uri, summary.run_id).removesuffix('.json')}.png"
    snapshot = open_snapshot(config.output.uri)
    records = videos_of_run(
        snapshot.scan_videos(), summary.run_id, limit=config.run.contact_sheet_videos
    )
    title = f"{summary.run_id}: {summary.num_videos} videos, {summary.num_masklets} masklets"
    write_bytes(uri, _contact_sheet_png(title, snapshot, records))
    return uri


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
