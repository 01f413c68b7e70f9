"""`pvtt-flow debug`: every stage on one video in this process, with rows and pictures of each."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from pvtt_flow.config.schema import RunConfig
from pvtt_flow.core.timeline import FrameTime
from pvtt_flow.errors import ConfigError
from pvtt_flow.review.contact_sheet import Strip, contact_sheet, encode_image, spread
from pvtt_flow.review.overlay import PaintedObject, paint
from pvtt_flow.stages import factory
from pvtt_flow.storage.sources import list_sources
from pvtt_flow.storage.streams import open_binary
from pvtt_flow.types import Frame, ShotRecord
from pvtt_flow.video.read import read_frames_at_times

_NUM_FRAMES = 6


def debug_video(video: str, config: RunConfig, out: Path, console: Console) -> None:
    """Run inspect, detect, propagate and judge, saving `<n>_<stage>.json` and pictures to `out`."""
    sources = list_sources(config.input)
    if len(sources) != 1:
        raise ConfigError(f"VIDEO must be one video, got {len(sources)} at {video}")
    # Where a breakpoint works.
    here = config.run.model_copy(update={"isolate_decoders": False})
    config = config.model_copy(update={"run": here})
    out.mkdir(parents=True, exist_ok=True)
    records = [ShotRecord(source=sources[0])]
    for number, name in enumerate(("inspect", "detect", "propagate", "judge"), 1):
        stage: factory.StageFunction = getattr(factory, name)(config)
        records = list(stage(records))
        saved = [_save_rows(out / f"{number}_{name}.json", records)]
        if name == "detect":
            saved += [
                _save_prompts(out / f"{number}_{name}_{i}.png", w) for i, w in _sound(records)
            ]
        if name == "judge":
            saved += [_save_masks(out / f"{number}_{name}_{i}.png", w) for i, w in _sound(records)]
        console.print(f"{name}: {_outcome(records)} -> {', '.join(p.name for p in saved)}")
        if all(w.failure for w in records):
            break
    console.print(f"saved in {out}", soft_wrap=True)


def _sound(records: Sequence[ShotRecord]) -> list[tuple[int, ShotRecord]]:
    return [(i, w) for i, w in enumerate(records) if w.failure is None and w.prompts]


def _outcome(records: Sequence[ShotRecord]) -> str:
    failures = [f"{w.failure.kind}: {w.failure.message}" for w in records if w.failure]
    if failures:
        return "failed: " + "; ".join(failures)
    numbers = {
        "shots": len(records),
        "prompts": sum(len(w.prompts) for w in records),
        "masklets": sum(len(w.masklets) for w in records),
        "frames": sum(w.num_frames for w in records),
    }
    return ", ".join(f"{n} {name}" for name, n in numbers.items() if n)


def _save_rows(path: Path, records: Sequence[ShotRecord]) -> Path:
    path.write_text(json.dumps([asdict(w) for w in records], indent=1))
    return path


def _save_prompts(path: Path, record: ShotRecord) -> Path:
    """The prompt frame with the boxes that were chosen."""
    (frame,) = _frames(record, [record.prompts[0].frame_index])
    boxes = [
        PaintedObject(p.object_id, p.label, p.box_xyxy)
        for p in record.prompts
        if p.box_xyxy is not None and p.frame_index == frame.frame_index
    ]
    path.write_bytes(encode_image(paint(frame.rgb, boxes), ".png"))
    return path


def _save_masks(path: Path, record: ShotRecord) -> Path:
    """A contact sheet of the shot."""
    frames = _frames(
        record, spread([f.frame_index for f in record.masklets[0].frames], _NUM_FRAMES)
    )
    strip = Strip(video_id=record.source.video_id, frames=frames, masklets=record.masklets)
    path.write_bytes(encode_image(contact_sheet(record.source.uri, [strip]), ".png"))
    return path


def _frames(record: ShotRecord, frame_indices: Sequence[int]) -> tuple[Frame, ...]:
    """Some of the shot's frames; ascending."""
    if record.shot is None:
        return ()
    times = dict(enumerate(record.shot.times_ns, record.shot.start_frame))
    wanted = [FrameTime(index, times[index]) for index in frame_indices]
    with open_binary(record.source.uri) as file:
        return tuple(read_frames_at_times(file, wanted, video=record.video))
