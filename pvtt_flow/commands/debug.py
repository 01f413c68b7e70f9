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
from pvtt_flow.types import Frame, Work
from pvtt_flow.video.seek import read_known_frames

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
    works = [Work(source=sources[0])]
    for number, name in enumerate(("inspect", "detect", "propagate", "judge"), 1):
        step: factory.Step = getattr(factory, name)(config)
        works = list(step(works))
        saved = [_save_rows(out / f"{number}_{name}.json", works)]
        if name == "detect":
            saved += [_save_prompts(out / f"{number}_{name}_{i}.png", w) for i, w in _sound(works)]
        if name == "judge":
            saved += [_save_masks(out / f"{number}_{name}_{i}.png", w) for i, w in _sound(works)]
        console.print(f"{name}: {_outcome(works)} -> {', '.join(p.name for p in saved)}")
        if all(w.failure for w in works):
            break
    console.print(f"saved in {out}", soft_wrap=True)


def _sound(works: Sequence[Work]) -> list[tuple[int, Work]]:
    return [(i, w) for i, w in enumerate(works) if w.failure is None and w.prompts]


def _outcome(works: Sequence[Work]) -> str:
    failures = [f"{w.failure.kind}: {w.failure.message}" for w in works if w.failure]
    if failures:
        return "failed: " + "; ".join(failures)
    numbers = {
        "shots": len(works),
        "prompts": sum(len(w.prompts) for w in works),
        "masklets": sum(len(w.masklets) for w in works),
        "frames": sum(w.num_frames for w in works),
    }
    return ", ".join(f"{n} {name}" for name, n in numbers.items() if n)


def _save_rows(path: Path, works: Sequence[Work]) -> Path:
    path.write_text(json.dumps([asdict(w) for w in works], indent=1))
    return path


def _save_prompts(path: Path, work: Work) -> Path:
    """The prompt frame with the boxes that were chosen."""
    (frame,) = _frames(work, [work.prompts[0].frame_index])
    boxes = [
        PaintedObject(p.object_id, p.label, p.box_xyxy)
        for p in work.prompts
        if p.box_xyxy is not None and p.frame_index == frame.frame_index
    ]
    path.write_bytes(encode_image(paint(frame.rgb, boxes), ".png"))
    return path


def _save_masks(path: Path, work: Work) -> Path:
    """A contact sheet of the shot."""
    frames = _frames(work, spread([f.frame_index for f in work.masklets[0].frames], _NUM_FRAMES))
    strip = Strip(video_id=work.source.video_id, frames=frames, masklets=work.masklets)
    path.write_bytes(encode_image(contact_sheet(work.source.uri, [strip]), ".png"))
    return path


def _frames(work: Work, frame_indices: Sequence[int]) -> tuple[Frame, ...]:
    """Some of the shot's frames; ascending."""
    if work.shot is None:
        return ()
    times = dict(enumerate(work.shot.times_ns, work.shot.start_frame))
    wanted = [FrameTime(index, times[index]) for index in frame_indices]
    with open_binary(work.source.uri) as file:
        return tuple(read_known_frames(file, wanted, video=work.video))
