"""Run all stages on one video in this process, and save rows and pictures of each stage."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from pvtt_flow.config.schema import RunConfig
from pvtt_flow.core.timeline import FrameTime
from pvtt_flow.errors import ConfigError
from pvtt_flow.models.checkpoints import sha256_of
from pvtt_flow.models.factory import tracker_weights
from pvtt_flow.review.contact_sheet import SheetRow, contact_sheet, encode_image, evenly_spaced
from pvtt_flow.review.overlay import OverlayObject, overlay
from pvtt_flow.stages import factory
from pvtt_flow.storage.sources import list_sources
from pvtt_flow.storage.streams import open_binary
from pvtt_flow.storage.uris import uri_without_signature
from pvtt_flow.types import Frame, ShotRecord
from pvtt_flow.video.read import read_frames_at_times

_FRAMES_PER_ROW = 6


def debug_video(video: str, config: RunConfig, out: Path, console: Console) -> bool:
    """Run inspect, detect, propagate and judge; save `<n>_<stage>.json` and pictures in `out`.

    Returns False if a shot failed, and with it the video. Raises ConfigError when the input of the
    config is not one video, or `out` is no folder.
    """
    factory.use_input_credentials(config)
    sources = list_sources(config.input)
    if len(sources) != 1:
        raise ConfigError(f"VIDEO must be one video, got {len(sources)} at {video}")
    # Breakpoints work in this process only, and the dataset is left alone.
    run = config.run.model_copy(update={"isolate_decoders": False, "checkpoint_every_s": None})
    config = config.model_copy(update={"run": run})
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"--out must be a folder or a new one, got {out} ({error})") from None
    records = [ShotRecord(source=sources[0])]
    for number, name in enumerate(("inspect", "detect", "propagate", "judge"), 1):
        records = list(_stage(name, config)(records))
        saved = [_save_rows(out / f"{number}_{name}.json", records)]
        if name == "detect":
            saved += _save_pictures(_save_prompts, out / f"{number}_{name}", records)
        if name == "judge":
            saved += _save_pictures(_save_masks, out / f"{number}_{name}", records)
        console.print(f"{name}: {_describe(records)} -> {', '.join(p.name for p in saved)}")
        if all(record.failure for record in records):
            break
    console.print(f"saved in {out}", soft_wrap=True)
    return not any(record.failure for record in records)


def _stage(name: str, config: RunConfig) -> factory.StageFunction:
    make: factory.StageFactory = getattr(factory, name)
    if name in {"propagate", "judge"}:
        weights = tracker_weights(config.tracker, config.run.models, open_binary)
        return make(config, sha256_of(weights))
    return make(config)


def _save_pictures(
    save: Callable[[Path, ShotRecord], Path], base: Path, records: Sequence[ShotRecord]
) -> list[Path]:
    """Save `<base>_<i>.png` of each shot that has prompts and no failure."""
    return [
        save(base.with_name(f"{base.name}_{index}.png"), record)
        for index, record in enumerate(records)
        if record.failure is None and record.prompts
    ]


def _describe(records: Sequence[ShotRecord]) -> str:
    failures = [record.failure for record in records if record.failure]
    if failures:
        return "failed: " + "; ".join(f"{f.kind}: {f.message}" for f in failures)
    numbers = {
        "shots": len(records),
        "prompts": sum(len(record.prompts) for record in records),
        "masklets": sum(len(record.masklets) for record in records),
        "frames": sum(record.num_frames for record in records),
    }
    return ", ".join(f"{n} {name}" for name, n in numbers.items() if n)


def _save_rows(path: Path, records: Sequence[ShotRecord]) -> Path:
    path.write_text(json.dumps([asdict(record) for record in records], indent=1))
    return path


def _save_prompts(path: Path, record: ShotRecord) -> Path:
    """Save the prompt frame with its prompt boxes."""
    (frame,) = _frames(record, [record.prompts[0].frame_index])
    boxes = [
        OverlayObject(p.object_id, p.label, p.box_xyxy)
        for p in record.prompts
        if p.box_xyxy is not None and p.frame_index == frame.frame_index
    ]
    path.write_bytes(encode_image(overlay(frame.rgb, boxes), ".png"))
    return path


def _save_masks(path: Path, record: ShotRecord) -> Path:
    """Save a contact sheet of the shot."""
    frames = _frames(
        record, evenly_spaced([f.frame_index for f in record.masklets[0].frames], _FRAMES_PER_ROW)
    )
    row = SheetRow(video_id=record.source.video_id, frames=frames, masklets=record.masklets)
    path.write_bytes(
        encode_image(contact_sheet(uri_without_signature(record.source.uri), [row]), ".png")
    )
    return path


def _frames(record: ShotRecord, frame_indices: Sequence[int]) -> tuple[Frame, ...]:
    """Decode some frames of the shot; `frame_indices` must ascend."""
    if record.shot is None:
        return ()
    times = dict(enumerate(record.shot.times_ns, record.shot.start_frame))
    wanted_times = [FrameTime(index, times[index]) for index in frame_indices]
    with open_binary(record.source.uri) as file:
        return tuple(read_frames_at_times(file, wanted_times, video=record.video))
