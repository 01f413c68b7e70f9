"""A dataset's videos as strips of a contact sheet: reads rows, seeks frames in the sources."""

from collections.abc import Sequence

from pvtt_flow.core.timeline import FrameTime
from pvtt_flow.dataset.dataset import Dataset
from pvtt_flow.dataset.queries import masklets_of
from pvtt_flow.errors import DataError
from pvtt_flow.review.contact_sheet import Strip, contact_sheet, encode_image, spread
from pvtt_flow.types import Masklet, VideoRecord
from pvtt_flow.video.read import read_frames_at_times
from pvtt_flow.video.worker.decoder import IsolatedDecoder
from pvtt_flow.video.worker.pool import SHARED_POOL

_FRAMES_A_STRIP = 6


def sheet_png(title: str, dataset: Dataset, records: Sequence[VideoRecord]) -> bytes:
    """The page as a PNG, one strip for each of the videos."""
    masklets = masklets_of(dataset, [record.video_id for record in records])
    strips = [
        strip_of(record, [m for m in masklets if m.video_id == record.video_id])
        for record in records
    ]
    return encode_image(contact_sheet(title, strips), ".png")


def strip_of(record: VideoRecord, masklets: Sequence[Masklet]) -> Strip:
    """One video; a source that cannot be read any more shows its name and why."""
    times = sorted({FrameTime(f.frame_index, f.pts_ns) for m in masklets for f in m.frames})
    chosen = spread(times, _FRAMES_A_STRIP)
    note = record.status if record.failure_message is None else record.failure_message
    try:
        # Not in this process, which has a run to end.
        frames = (
            tuple(IsolatedDecoder(SHARED_POOL).iterate(read_frames_at_times, record.uri, chosen))
            if chosen
            else ()
        )
    except DataError as error:
        return Strip(video_id=record.video_id, note=str(error))
    return Strip(
        video_id=record.video_id,
        frames=frames,
        masklets=tuple(masklets),
        note=", ".join((note, *record.flags)),
    )
