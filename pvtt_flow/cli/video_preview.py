"""Write the mp4 and the contact sheet of one video of a dataset."""

from contextlib import closing
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path

from rich.console import Console

from pvtt_flow.cli.run_report import sheet_row_of
from pvtt_flow.readers.snapshot import DatasetSnapshot
from pvtt_flow.readers.source_frames import check_same
from pvtt_flow.review.contact_sheet import contact_sheet, encode_image
from pvtt_flow.review.preview import write_preview
from pvtt_flow.types import VideoRecord
from pvtt_flow.video.read import read_frames
from pvtt_flow.video.worker.decoder import IsolatedDecoder
from pvtt_flow.video.worker.pool import SHARED_POOL


def write_video_preview(
    dataset: DatasetSnapshot, record: VideoRecord, folder: Path, console: Console
) -> None:
    """Write `<video_id>.png` and, for a video with masklets, `<video_id>.mp4` into `folder`.

    Raises DataError when the source is not the file that was processed.
    """
    check_same(record.uri, asdict(record))
    masklets = dataset.masklets_of(record.video_id)
    folder.mkdir(parents=True, exist_ok=True)
    sheet = folder / f"{record.video_id}.png"
    page = contact_sheet(record.uri, [sheet_row_of(record, masklets)])
    sheet.write_bytes(encode_image(page, ".png"))
    console.print(f"contact sheet: {sheet}", soft_wrap=True)
    if not masklets:
        console.print(f"no masks to draw: {record.status} {record.failure_message or ''}".rstrip())
        return
    movie = folder / f"{record.video_id}.mp4"
    stop_frame = max(masklet.stop_frame for masklet in masklets)
    fps = Fraction(record.fps_num or 25, record.fps_den or 1)
    decoder = IsolatedDecoder(SHARED_POOL)
    with closing(decoder.iterate(read_frames, record.uri, stop_frame=stop_frame)) as frames:
        num_frames = write_preview(movie, frames, masklets, fps)
    console.print(f"{num_frames} frames: {movie}", soft_wrap=True)
