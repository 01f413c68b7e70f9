"""Film strips: a few frames of a video with the masks, boxes and scores of its objects."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict

from pvtt_flow.core.timeline import NS_PER_S, FrameTime, SamplingParams
from pvtt_flow.errors import DataError, StoreError
from pvtt_flow.readers.source_frames import check_same
from pvtt_flow.report.cards import empty_strip, note_of
from pvtt_flow.report.content import Picture, Strip
from pvtt_flow.review.contact_sheet import encode_image, evenly_spaced
from pvtt_flow.review.overlay import objects_on, overlay
from pvtt_flow.types import Frame, Masklet, VideoRecord
from pvtt_flow.video.read import read_frames, read_frames_at_times
from pvtt_flow.video.worker.decoder import IsolatedDecoder
from pvtt_flow.video.worker.pool import SHARED_POOL

NUM_FRAMES = 6
# A strip of six is as wide as a screen, and some 60 kB.
_TILE_WIDTH_PX, _TILE_HEIGHT_PX = 320, 260
_JPEG_QUALITY = 80
# Frames of a video without masklets have no stored times: those of its beginning are counted.
_MAX_COUNTED_FRAMES = 600
_MAX_PROMPTS = 12


def make_strip(record: VideoRecord, masklets: Sequence[Masklet]) -> Strip:
    """Draw the strip of a video; a note says what cannot be read and why."""
    if record.width_px is None and not masklets:
        return empty_strip(record, "")
    pictures: list[Picture] = []
    note = note_of(record)
    try:
        check_same(record.uri, asdict(record))
        # Frames before a damaged one stay.
        pictures.extend(_picture(frame, masklets) for frame in _frames(record, masklets))
    except (DataError, StoreError) as error:
        note = empty_strip(record, f"Not all frames can be shown: {error}.").note
    return Strip(pictures=tuple(pictures[:NUM_FRAMES]), note=note, prompts=_prompts(masklets))


def chosen_times(masklets: Sequence[Masklet]) -> tuple[FrameTime, ...]:
    """Return evenly spaced frames of the masklets, the first prompted one among them."""
    times = sorted({FrameTime(f.frame_index, f.pts_ns) for m in masklets for f in m.frames})
    chosen = evenly_spaced(times, NUM_FRAMES)
    prompted = {prompt.frame_index for m in masklets for prompt in m.prompts}
    first = next((time for time in times if time.frame_index in prompted), None)
    if first is None or first in chosen:
        return chosen
    nearest = min(chosen, key=lambda time: abs(time.frame_index - first.frame_index))
    return tuple(sorted({first, *chosen} - {nearest}))


def _frames(record: VideoRecord, masklets: Sequence[Masklet]) -> Iterator[Frame]:
    """Yield the frames to show, decoded in another process, which a bad file may crash."""
    decoder = IsolatedDecoder(SHARED_POOL)
    if times := chosen_times(masklets):
        found = decoder.iterate(read_frames_at_times, record.uri, times)
    else:
        num_frames = min(_num_frames(record), _MAX_COUNTED_FRAMES)
        sampling = SamplingParams(stride=max(1, -(-num_frames // NUM_FRAMES)))
        found = decoder.iterate(read_frames, record.uri, sampling=sampling, stop_frame=num_frames)
    with closing(found) as frames:
        yield from frames


def _num_frames(record: VideoRecord) -> int:
    """Estimate the frames of a video, of which a run may have sampled some."""
    if record.duration_ns and record.fps_num and record.fps_den:
        return max(1, record.duration_ns * record.fps_num // (record.fps_den * NS_PER_S))
    return record.num_frames or _MAX_COUNTED_FRAMES


def _picture(frame: Frame, masklets: Sequence[Masklet]) -> Picture:
    height_px, width_px = frame.rgb.shape[:2]
    for m in masklets:
        if (m.width_px, m.height_px) != (width_px, height_px):
            raise DataError(
                "source_changed",
                f"frames must have the size of the masks, {m.width_px} x {m.height_px}, got "
                f"{width_px} x {height_px}; process the video again",
            )
    scale = min(1.0, _TILE_WIDTH_PX / width_px, _TILE_HEIGHT_PX / height_px)
    objects = objects_on(masklets, frame.frame_index)
    picture = overlay(frame.rgb, objects, scale=scale, with_labels=False)
    when = f"frame {frame.frame_index}, {frame.pts_ns / NS_PER_S:.2f} s"
    return Picture(
        jpeg=encode_image(picture, ".jpg", quality=_JPEG_QUALITY),
        width_px=picture.shape[1],
        height_px=picture.shape[0],
        caption=". ".join((when, *_scores(masklets, frame.frame_index))),
    )


def _scores(masklets: Sequence[Masklet], frame_index: int) -> Iterator[str]:
    """Yield what the tracker says of each object of a frame."""
    for masklet in masklets:
        at = bisect_left(masklet.frames, frame_index, key=lambda frame: frame.frame_index)
        if at == len(masklet.frames) or masklet.frames[at].frame_index != frame_index:
            continue
        frame = masklet.frames[at]
        if frame.rle is None:
            found = "absent"
        elif frame.predicted_iou is None:
            found = "prompted mask" if "prompted" in frame.flags else "no score"
        else:
            found = f"predicted IoU {frame.predicted_iou:.2f}"
        yield f"{masklet.object_id} {masklet.label}: {found}"


def _prompts(masklets: Sequence[Masklet]) -> tuple[str, ...]:
    """Say what the tracker was told, and what was tracked again."""
    lines = []
    for masklet in masklets:
        name = f"{masklet.object_id} {masklet.label}"
        for p in masklet.prompts:
            by = f"the {p.origin}" + ("" if p.score is None else f", score {p.score:.2f}")
            margin = "" if p.margin is None else f", margin {p.margin:.2f} to the next best product"
            lines.append(f"{name}: prompted on frame {p.frame_index} by {by}{margin}")
        lines += [f"{name}: tracked again, {repair}" for repair in masklet.repairs]
    hidden = len(lines) - _MAX_PROMPTS
    return (*lines[:_MAX_PROMPTS], *([f"and {hidden} more"] if hidden > 0 else []))
