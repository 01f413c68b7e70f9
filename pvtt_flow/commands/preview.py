"""`pvtt-flow preview`: one video of a dataset, with its masks."""

from contextlib import closing
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path

from rich.console import Console

from pvtt_flow.commands.find import find_video
from pvtt_flow.commands.sheet import strip_of
from pvtt_flow.dataset.dataset import Dataset
from pvtt_flow.dataset.queries import masklets_of
from pvtt_flow.readers.source_frames import check_same
from pvtt_flow.review.contact_sheet import contact_sheet, encode_image
from pvtt_flow.review.preview import write_preview
from pvtt_flow.video.read import read_frames
from pvtt_flow.video.worker.decoder import IsolatedDecoder
from pvtt_flow.video.worker.pool import SHARED_POOL


def preview_video(uri: str, part: str, out: Path, console: Console) -> None:
    """Write `<video_id>.mp4` and `<video_id>.png` into the folder `out`."""
    dataset = Dataset.existing(uri)
    record = find_video(dataset, part)
    check_same(record.uri, asdict(record))
    masklets = masklets_of(dataset, [record.video_id])
    out.mkdir(parents=True, exist_ok=True)
    sheet = out / f"{record.video_id}.png"
    sheet.write_bytes(encode_image(contact_sheet(record.uri, [strip_of(record, masklets)]), ".png"))
    console.print(f"contact sheet: {sheet}", soft_wrap=True)
    if not masklets:
        console.print(f"no masks to play: {record.status} {record.failure_message or ''}".rstrip())
        return
    stop_frame = max(m.stop_frame for m in masklets)
    fps = Fraction(record.fps_num or 25, record.fps_den or 1)
    with closing(
        IsolatedDecoder(SHARED_POOL).iterate(read_frames, record.uri, stop_frame=stop_frame)
    ) as frames:
        num_frames = write_preview(out / f"{record.video_id}.mp4", frames, masklets, fps)
    console.print(f"{num_frames} frames: {out / f'{record.video_id}.mp4'}", soft_wrap=True)
